"""Bad deliveries through the wired features DAG: each is refused by the rule that it breaks, and
nothing after it runs.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.interval import Interval
from include.quality.quarantine import REASONS
from include.tables.store import TableStore, in_window
from include.use_cases.flight_delays.data import read_source
from proofs.harness.damage.rows import Frames, Rows, write_delivery
from proofs.refusals.data_cases import DELIVERIES
from tests.integration.dag_runs import month, run_dag

pytestmark = [pytest.mark.slow]

SHARE = 0.15
MAY = Interval(month(5), month(6))
APRIL = Interval(month(4), month(5))
CASES = {case.name: case for case in DELIVERIES}
DOWNSTREAM = ("publish_tables", "compute_features", "materialise_online")


def deliver(frames: Frames, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write_delivery(folder, "flight_delays", MAY, frames)
    monkeypatch.setenv("FLIGHTDECK_DELIVERY_DIR", str(folder))
    return run_dag("flight_delays__features", MAY.end)


@pytest.mark.parametrize("name", CASES)
def test_a_bad_delivery_is_refused_by_its_rule(name, history, settings, tmp_path, monkeypatch):
    case = CASES[name]
    rows = Rows(read_source(MAY, SHARE), read_source(APRIL, SHARE), MAY.start - APRIL.start)
    run = deliver(case.damage(rows), tmp_path, monkeypatch)
    assert run.state == "failed"
    assert run.tasks["ingest_source"] == "success"
    assert run.tasks["validate_data"] == "failed"
    assert {run.tasks[task] for task in DOWNSTREAM} == {"upstream_failed"}
    verdict = run.results["validate_data"]
    found = {
        (failure["table"], failure["column"], failure["rule"]): failure
        for failure in verdict["failures"]
    }
    assert (case.table, case.column, case.rule) in found, verdict["reasons"]
    failure = found[case.table, case.column, case.rule]
    assert failure["expected"]
    assert failure["observed"]
    if case.rule not in ("columns", "type", "row count"):
        assert failure["example"], "a stop shows a row"
    tables = TableStore(settings.tables_uri)
    aside = tables.read(verdict["quarantine"][case.table]["name"])
    assert (
        aside.height == tables.read(f"landing/{case.table.removeprefix('raw/')}/{MAY.label}").height
    )
    assert all(
        failure["rule"] in "".join(json.loads(reasons)) for reasons in aside[REASONS].unique()
    )
    assert tables.read("raw/flights", where=in_window("asked_at", MAY.start, MAY.end)).is_empty()
    page = Path(verdict["data_docs"]).read_text()
    assert failure["rule"] in page
    assert "http" not in page
