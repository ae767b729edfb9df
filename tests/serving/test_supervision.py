"""What is left when BentoML's supervisor is killed."""

from __future__ import annotations

import psutil
import pytest

from include.release.model_store import set_desired
from proofs.harness.endpoint import BENTOML_SERVICE, Endpoint
from proofs.harness.world import World

pytestmark = pytest.mark.slow


def test_a_worker_whose_supervisor_was_killed_ends_and_frees_the_port(world: World) -> None:
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    endpoint = Endpoint(world.settings, service=BENTOML_SERVICE)
    endpoint.start()
    endpoint.wait_for("/readyz")
    workers = endpoint.kill_supervisor()
    endpoint.client.close()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
