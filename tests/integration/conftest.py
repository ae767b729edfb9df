"""The loop, wired: every DAG run through Airflow's own runner on a slice of the real data, in the
order of the loop.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.settings import Settings
from proofs.harness.endpoint import Endpoint
from tests.integration.dag_runs import DagRunResult, month, run_dag


@pytest.fixture(scope="session")
def history(airflow_database: None) -> list[DagRunResult]:
    """Features of January to April; the online store stands at the end of March."""
    until = {"materialise_until": month(4).isoformat()}
    return [
        run_dag("flight_delays__features", month(number), until if number == 5 else None)
        for number in (2, 3, 4, 5)
    ]


@pytest.fixture(scope="session")
def first_training(history: list[DagRunResult]) -> DagRunResult:
    """A training on January to March, started by hand."""
    return run_dag(
        "flight_delays__training",
        None,
        {"until": "2013-04-01", "reason": "first champion", "trials": 2},
    )


@pytest.fixture(scope="session")
def live_endpoint(settings: Settings) -> Iterator[Endpoint]:
    """The real endpoint on the session's port and folder."""
    with Endpoint(settings, port=settings.serving_port) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def first_deployment(first_training: DagRunResult, live_endpoint: Endpoint) -> DagRunResult:
    """The deployment of what the first training registered."""
    assert first_training.state == "success", first_training
    return run_dag("flight_delays__deployment", None, {"reason": "first champion"})


@pytest.fixture(scope="session")
def scored_april(first_deployment: DagRunResult) -> DagRunResult:
    """April scored by the champion."""
    assert first_deployment.state == "success", first_deployment
    return run_dag("flight_delays__batch_scoring", month(5))
