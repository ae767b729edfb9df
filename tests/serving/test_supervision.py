"""What is left when the supervisor is killed. Runs last: it leaves no endpoint behind."""

from __future__ import annotations

import psutil
import pytest

from tests.serving.conftest import Endpoint

pytestmark = pytest.mark.slow


def test_a_worker_whose_supervisor_was_killed_ends_and_frees_the_port(endpoint: Endpoint) -> None:
    workers = endpoint.kill_supervisor()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
