"""The peer of `make bench-serving` that records nothing: it answers as the endpoint does."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from include.release.model_store import set_desired
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World

pytestmark = pytest.mark.slow


class Quiet(Endpoint):
    """The endpoint with nothing recorded."""

    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-m", "proofs.bench.peers.quiet", str(self.port))


def without_identifiers(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """What is answered about each row; every answer has identifiers of its own."""
    return [
        {"version": answer["model_version"], **prediction, "prediction_id": None}
        for prediction in answer["predictions"]
    ]


def test_it_gives_the_endpoints_answers(endpoint: Endpoint, world: World) -> None:
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    ours = endpoint.predict(world.rows[:3]).json()
    with Quiet(world.settings) as quiet:
        quiet.wait_for_version(1)
        quiet.wait_for("/readyz")
        answer = quiet.predict(world.rows[:3])
    assert answer.status_code == 200, answer.text
    theirs = answer.json()
    assert without_identifiers(theirs) == without_identifiers(ours)
