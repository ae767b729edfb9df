"""The endpoint's numbers, kept: what grew between two samples, quantiles, restarts, repetition."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from include.catalogue import load_use_case
from include.monitoring.serving_metrics import (
    SCHEMA,
    measure,
    metrics_table,
    parse,
    quantile,
    sample,
)
from include.settings import Settings, load_settings
from include.tables.store import TableStore

MOMENT = datetime(2013, 5, 1, tzinfo=UTC)
PAGE = """# TYPE flightdeck_stage_seconds histogram
flightdeck_stage_seconds_bucket{{stage="total",use_case="flight_delays",le="0.001"}} {half}
flightdeck_stage_seconds_bucket{{stage="total",use_case="flight_delays",le="0.002"}} {all}
flightdeck_stage_seconds_bucket{{stage="total",use_case="flight_delays",le="+Inf"}} {all}
flightdeck_stage_seconds_count{{stage="total",use_case="flight_delays"}} {all}
flightdeck_stage_seconds_count{{stage="total",use_case="another"}} 7777
# TYPE flightdeck_predictions counter
flightdeck_predictions_total{{use_case="flight_delays",version="1"}} {all}
flightdeck_predictions_total{{use_case="another",version="9"}} 7777
# TYPE flightdeck_flags counter
flightdeck_flags_total{{flag="unknown:plane",use_case="flight_delays"}} 4
flightdeck_flags_total{{flag="unseen:dest",use_case="flight_delays"}} 3
# TYPE flightdeck_refusals counter
flightdeck_refusals_total{{code="malformed_json",status="400"}} {refused}
flightdeck_refusals_total{{code="log_unavailable",status="503"}} 5
# TYPE flightdeck_batch_rows histogram
flightdeck_batch_rows_count{{use_case="flight_delays"}} 10
flightdeck_batch_rows_sum{{use_case="flight_delays"}} 40
# TYPE flightdeck_model_version gauge
flightdeck_model_version{{use_case="flight_delays"}} 3
# TYPE flightdeck_memory_bytes gauge
flightdeck_memory_bytes 1000000
# TYPE flightdeck_cpu_seconds counter
flightdeck_cpu_seconds_total {cpu}
"""


def page(everything: int, refused: int = 15, cpu: float = 2.0) -> str:
    return PAGE.format(half=everything / 2, all=everything, refused=refused, cpu=cpu)


class Page(BaseHTTPRequestHandler):
    """Answers with the page that the test has set."""

    text = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.text.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Settings]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield load_settings(
        {
            "FLIGHTDECK_HOME": str(tmp_path),
            "FLIGHTDECK_SERVING_URL": f"http://127.0.0.1:{server.server_port}",
        }
    )
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_quantile_lies_within_its_bucket_in_proportion() -> None:
    buckets = [(0.001, 50.0), (0.002, 100.0), (float("inf"), 100.0)]
    assert quantile(buckets, 0.5) == pytest.approx(0.001)
    assert quantile(buckets, 0.75) == pytest.approx(0.0015)
    assert quantile([(0.001, 1.0), (float("inf"), 100.0)], 0.99) == 0.001
    assert quantile([(0.001, 0.0), (float("inf"), 0.0)], 0.5) is None
    assert quantile([], 0.5) is None


def test_a_row_holds_what_grew_and_only_of_its_use_case() -> None:
    first = measure(parse(page(100)), "flight_delays", None, MOMENT)
    assert (first["rows"], first["requests"], first["server_errors"], first["client_errors"]) == (
        100.0,
        120.0,
        5.0,
        15.0,
    )
    assert first["error_share"] == pytest.approx(20 / 120)
    assert (
        first["fallbacks"],
        first["unseen"],
        first["batch_rows_mean"],
        first["model_version"],
    ) == (4.0, 3.0, 4.0, 3)
    assert (first["total_p50_ms"], first["total_p90_ms"], first["lookup_p50_ms"]) == (
        pytest.approx(1.0),
        pytest.approx(1.8),
        None,
    )
    assert (first["since"], first["rows_per_second"], first["memory_bytes"]) == (None, None, 1e6)
    previous = {**first, "sampled_at": MOMENT}
    second = measure(
        parse(page(160, refused=18, cpu=3.0)),
        "flight_delays",
        previous,
        MOMENT + timedelta(seconds=20),
    )
    assert (
        second["rows"],
        second["rows_per_second"],
        second["client_errors"],
        second["unseen"],
    ) == (60.0, 3.0, 3.0, 0.0)
    assert (second["cpu_seconds"], second["cpu_share"]) == (1.0, 0.05)
    assert json.loads(second["rows_by_version_json"]) == {"1": 60.0}
    restarted = measure(
        parse(page(30)),
        "flight_delays",
        {**second, "sampled_at": MOMENT},
        MOMENT + timedelta(seconds=30),
    )
    assert restarted["rows"] == 30.0


def test_each_moment_is_sampled_once(home: Settings) -> None:
    use_case, tables = load_use_case("flight_delays"), TableStore(home.tables_uri)
    Page.text = page(100)
    assert sample(home, use_case, MOMENT)["recorded"] is True
    Page.text = page(150)
    again = sample(home, use_case, MOMENT)
    assert (again["recorded"], again["rows"]) == (False, 100.0)
    assert sample(home, use_case, MOMENT + timedelta(days=1))["rows"] == 50.0
    frame = tables.read(metrics_table(use_case)).sort("moment")
    assert dict(frame.schema) == SCHEMA
    assert frame["rows"].to_list() == [100.0, 50.0]
    assert frame["since"][1] == frame["sampled_at"][0]


def test_an_endpoint_that_is_away_leaves_a_row_that_says_so(tmp_path: Path) -> None:
    away = load_settings(
        {"FLIGHTDECK_HOME": str(tmp_path), "FLIGHTDECK_SERVING_URL": "http://127.0.0.1:9"}
    )
    use_case = load_use_case("flight_delays")
    assert sample(away, use_case, MOMENT)["reachable"] is False
    row = TableStore(away.tables_uri).read(metrics_table(use_case)).row(0, named=True)
    assert "/metrics" in row["problem"]
    assert row["rows"] is None
