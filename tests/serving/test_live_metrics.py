"""The running endpoint's metrics as monitoring keeps them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.monitoring.serving_metrics import metrics_table, sample
from include.tables.store import TableStore
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World

pytestmark = pytest.mark.slow


def test_what_the_endpoint_did_is_kept_in_the_table(endpoint: Endpoint, world: World) -> None:
    settings = world.settings.model_copy(update={"serving_url": endpoint.url})
    sample(settings, world.use_case, datetime(2013, 2, 1, tzinfo=UTC))
    for row in world.rows[:5]:
        assert endpoint.predict([row, {**row, "tailnum": "N0NE"}]).status_code == 200
    endpoint.client.post("/v1/models/flight_delays/predict", content=b"{")
    assert sample(settings, world.use_case, datetime(2013, 2, 2, tzinfo=UTC))["recorded"]
    row = (
        TableStore(settings.tables_uri)
        .read(metrics_table(world.use_case))
        .sort("moment")
        .row(-1, named=True)
    )
    assert (row["reachable"], row["rows"], row["model_version"]) == (True, 10.0, 1)
    assert row["client_errors"] >= 1
    assert row["server_errors"] == 0
    assert row["unknown"] >= 5
    assert 0 < row["total_p50_ms"] <= row["total_p99_ms"] < 10_000
    assert row["lookup_p50_ms"] > 0
    assert row["batch_rows_mean"] >= 1
    assert row["rows_per_second"] > 0
    assert row["memory_bytes"] > 50_000_000
    assert 0 <= row["cpu_seconds"] < 600
