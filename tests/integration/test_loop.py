"""Features, training, deployment, scoring, monitoring: each wired DAG does what it promises and
refuses what it must.
"""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import polars as pl
import pytest

from cli.application import invoke
from cli.demo.traffic import requests_of_hour
from include.features.online.store import materialise
from include.registry import versions
from include.registry.client import connect
from include.release.ledger import Ledger
from include.tables.store import TableStore, in_window
from include.triggers.decisions import read_decisions
from include.use_cases.flight_delays.data import read_source
from include.use_cases.flight_delays.spec import USE_CASE
from tests.integration.dag_runs import asset_events, month, run_dag

pytestmark = [pytest.mark.slow]


@pytest.fixture
def tables(settings):
    return TableStore(settings.tables_uri)


def test_features_publish_what_validation_accepted(history, tables):
    assert [run.state for run in history] == ["success"] * 4
    january = history[0].results
    assert january["validate_data"]["accepted"] is True
    for name, published in january["publish_tables"]["tables"].items():
        window = USE_CASE.table(name).time_column
        rows = (
            tables.read(name)
            if window is None
            else tables.read(name, where=in_window(window, month(1), month(2)))
        )
        assert rows.height == published["rows"] > 0
    assert january["materialise_online"]["until"] == month(2).isoformat()


def test_the_same_interval_again_leaves_the_same_tables(history, tables):
    again = run_dag("flight_delays__features", month(2))
    assert again.state == "success"
    first = {
        name: version["rows"]
        for name, version in history[0].results["compute_features"]["tables"].items()
    }
    assert {
        name: version["rows"]
        for name, version in again.results["compute_features"]["tables"].items()
    } == first
    before = {name: tables.version(name) for name in ("raw/flights", "features/weather_hourly")}
    assert run_dag("flight_delays__features", month(2)).state == "success"
    assert {name: tables.version(name) for name in before} == before


def test_validation_stops_a_bad_delivery_before_it_is_published(
    history, tables, tmp_path, monkeypatch
):
    from include.interval import Interval

    interval = Interval(month(5), month(6))
    folder = tmp_path / "flight_delays" / interval.label
    folder.mkdir(parents=True)
    for name, frame in read_source(interval, 0.05).items():
        broken = (
            frame.with_columns(pl.lit(-999.0).alias("temperature"))
            if name == "raw/weather"
            else frame
        )
        broken.write_parquet(folder / f"{name.removeprefix('raw/')}.parquet")
    monkeypatch.setenv("FLIGHTDECK_DELIVERY_DIR", str(tmp_path))
    run = run_dag("flight_delays__features", month(6))
    assert run.state == "failed"
    assert run.tasks["validate_data"] == "failed"
    assert (
        run.tasks["publish_tables"]
        == run.tasks["compute_features"]
        == run.tasks["materialise_online"]
        == "upstream_failed"
    )
    (failure,) = run.results["validate_data"]["failures"]
    assert (failure["table"], failure["column"], failure["rule"]) == (
        "raw/weather",
        "temperature",
        "range",
    )
    assert failure["example"]["temperature"] == -999.0
    assert run.note.startswith("**Refused** by `validate_data`.")
    assert "raw/weather.temperature: range: expected" in run.note
    assert "Data: 2013-05-01 00:00 to 2013-06-01 00:00 UTC" in run.note
    assert json.loads(Path(run.results["validate_data"]["report"]).read_text())["failures"] == [
        failure
    ]
    assert tables.read("raw/weather", where=in_window("known_at", month(5), month(6))).is_empty()


@pytest.mark.parametrize("process", ["features", "batch_scoring", "monitoring"])
def test_a_run_outside_the_data_is_refused_with_the_data_s_first_and_last_moment(history, process):
    run = run_dag(f"flight_delays__{process}", datetime(2026, 11, 1, tzinfo=UTC))
    assert run.state == "failed"
    # The ledger is checked whatever the interval is.
    states = [state for task, state in run.tasks.items() if task != "check_releases"]
    assert states.count("failed") == 1
    assert set(states) == {"failed", "upstream_failed"}
    assert "**Refused** by" in run.note
    assert "its first moment is 2013-01-01 00:00, its last 2013-12-31 23:00" in run.note


def test_training_registers_a_challenger_with_its_evidence(first_training, settings):
    assert first_training.state == "success"
    assert first_training.note.startswith("**Done.** Version 1 is registered as challenger.")
    assert "Why it ran: Started by hand" in first_training.note
    registered = first_training.results["register_model"]
    challenger = versions.challenger(settings, USE_CASE)
    assert (
        (challenger.version, challenger.digest)
        == (registered["version"], registered["digest"])
        == (1, registered["digest"])
    )
    client = connect(settings)
    run = client.get_run(first_training.results["open_run"]["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.tags["flightdeck.run_id"] == first_training.run_id
    assert {"test.auc", "test.brier", "test.slice.origin.EWR.auc"} <= set(run.data.metrics)
    assert run.inputs.dataset_inputs
    snapshot = first_training.results["build_snapshot"]["snapshot"]
    assert any(
        snapshot["digest"][:16] in str(item.dataset.to_dictionary())
        for item in run.inputs.dataset_inputs
    )
    files = {
        item.path
        for folder in ("", "plots")
        for item in client.list_artifacts(run.info.run_id, folder or None)
    }
    assert {"gates.json", "evaluation.json"} <= files
    description = client.get_model_version(USE_CASE.name, str(registered["version"])).description
    assert "auc" in description
    assert snapshot["name"] in description
    assert asset_events("flight_delays/challenger")[-1]["extra"]["version"] == registered["version"]


def test_deployment_puts_the_challenger_into_service(
    first_deployment, first_training, live_endpoint, settings
):
    assert first_deployment.state == "success"
    digest = first_training.results["register_model"]["digest"]
    model = live_endpoint.model()
    assert (model["version"], model["digest"]) == (1, digest)
    assert versions.champion(settings, USE_CASE).version == 1
    ledger = Ledger(settings)
    rows = [(row.event, row.version, row.digest) for row in ledger.rows("flight_delays")]
    assert rows[0] == ("registered", 1, digest)
    assert rows[-1] == ("promoted", 1, digest)
    assert ledger.verify().number == len(ledger.rows())


def test_scoring_an_interval_again_leaves_the_same_predictions(scored_april, tables):
    assert scored_april.state == "success"
    assert scored_april.tasks["await_features"] == "success"
    result = scored_april.results["publish_predictions"]
    predictions = tables.read("flight_delays/predictions")
    flights = tables.read("raw/flights", where=in_window("asked_at", month(4), month(5)))
    assert predictions.height == flights.height == result["rows"]
    assert set(predictions["flight_id"]) == set(flights["flight_id"])
    assert predictions["score"].is_between(0, 1).all()
    before = tables.version("flight_delays/predictions")
    assert run_dag("flight_delays__batch_scoring", month(5)).state == "success"
    assert tables.version("flight_delays/predictions") == before


def test_the_endpoint_gives_the_batch_scores_and_monitoring_raises_the_alarm(
    scored_april, live_endpoint, settings, tables
):
    asked = []
    for number in range(3 * 28):
        day, part = divmod(number, 3)
        hour = month(4) + timedelta(days=day + 1, hours=9 + 5 * part + day % 3)
        materialise(USE_CASE, settings, hour)
        for row in requests_of_hour(USE_CASE, settings, hour):
            answer = live_endpoint.predict([row])
            assert answer.status_code == httpx.codes.OK, answer.text
            asked.append(row["flight_id"])
    assert len(asked) >= 500
    run = run_dag("flight_delays__monitoring", month(5))
    assert run.state == "success"
    log = tables.read("flight_delays/inference_log")
    assert sorted(log["flight_id"]) == sorted(asked)
    parity = run.results["evaluate_performance"]["parity"]
    assert parity["compared"] == len(asked)
    assert parity["largest"] <= 1e-6
    verdict = run.results["decide_alarm"]
    row = tables.read("flight_delays/monitoring").row(0, named=True)
    assert row["alarm"] is verdict["alarm"] is True
    assert row["online_rows"] == len(asked)
    assert Path(row["report"]).stat().st_size > 100_000
    assert run.note.startswith(f"**Alarm.** {verdict['reasons'][0][:40]}")
    assert run.task_notes["raise_alarm"].startswith(f"**Alarm.** {verdict['reasons'][0][:40]}")
    event = asset_events("flight_delays/alarm")[-1]
    assert event["run"] == run.run_id
    assert event["extra"]["reasons"] == verdict["reasons"]
    assert event["extra"]["interval"] == {
        "start": month(4).isoformat(),
        "end": month(5).isoformat(),
    }


def test_the_evidence_of_the_version_in_service_is_one_file_that_proves_itself(
    scored_april, settings, tables, tmp_path, capsys
):
    """The month that the test before has asked the endpoint about and monitored."""
    path, until = tmp_path / "evidence.zip", month(6).date().isoformat()
    arguments = ["evidence", "collect", "flight_delays", "--output", str(path)]
    assert invoke([*arguments, "--since", "2013-04-01", "--until", until], settings) == 0
    assert invoke(["evidence", "verify", str(path)]) == 0
    capsys.readouterr()
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    assessed = json.loads(files["assessment.json"])
    states = {kind: part["state"] for kind, part in assessed["evidence"].items()}
    in_operation = ("service", "tried", "ledger", "performance", "checks", "log")
    assert {states[kind] for kind in in_operation} == {"present"}, states
    found = {item["rule"] for item in assessed["findings"]}
    assert {"alarm_open", "monitoring_gap"} <= found, "nobody closed the alarm or looked at May"
    rows = tables.read("flight_delays/inference_log")
    counts = json.loads(files["inference-log/counts.json"])
    assert counts["rows_of_this_version"] == rows.height
    texts = b"".join(content for name, content in files.items() if not name.endswith(".png"))
    assert not any(identifier.encode() in texts for identifier in rows["prediction_id"])
    ledger = Ledger(settings)
    assert json.loads(files["manifest.json"])["ledger_head"] == ledger.signed_head()


def test_a_model_that_is_only_as_good_as_the_champion_is_refused(
    first_deployment, live_endpoint, settings
):
    run = run_dag(
        "flight_delays__training",
        None,
        {"until": "2013-04-01", "reason": "the same again", "trials": 2},
    )
    assert run.state == "failed"
    assert run.tasks["check_gates"] == "failed"
    assert run.tasks["register_model"] == "upstream_failed"
    verdict = run.results["check_gates"]
    assert verdict["accepted"] is False
    assert any("champion" in reason for reason in verdict["reasons"])
    decision = (
        read_decisions(USE_CASE, settings).filter(pl.col("run_id") == run.run_id).row(0, named=True)
    )
    assert decision["decision"] == "refused"
    assert json.loads(decision["reasons_json"]) == verdict["reasons"]
    assert (
        connect(settings).get_run(run.results["open_run"]["mlflow_run_id"]).info.status == "FAILED"
    )
    assert versions.champion(settings, USE_CASE).version == 1
    assert live_endpoint.model()["version"] == 1
