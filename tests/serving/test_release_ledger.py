"""The release ledger is attacked while callers ask: releases stop, serving does not."""

from __future__ import annotations

import pytest

from proofs.faults.release_ledger import attack_ledger
from proofs.harness.damage.ledger import ATTACKS
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World

pytestmark = pytest.mark.slow


def test_every_attack_stops_deployments_raises_the_alarm_and_costs_no_caller_a_request(
    endpoint: Endpoint, world: World
) -> None:
    lines = attack_ledger(endpoint, world)
    assert len(lines) == len(ATTACKS)
    assert [(line.fault, line.seen) for line in lines if not line.holds] == []
