"""All steps of monitoring on a scored month of real flights, with answers in the endpoint's durable
log.
"""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.alarms.records import Alarm
from include.alarms.store import AlarmStore
from include.errors import NotReadyYet, RegistryError, TableNotFound
from include.inference_log.log import (
    LoggedPrediction,
    Spool,
    prediction_ids,
    spool_path,
)
from include.interval import Interval
from include.monitoring import population, records, report, serving_metrics, version_metrics, window
from include.monitoring.checks.registry import CHECKS
from include.monitoring.overview.page import page_path
from include.monitoring.version_metrics import log_metrics
from include.processes import monitoring as steps
from include.processes.batch_scoring import score_interval
from include.registry.client import connect
from include.registry.versions import version as registered_version
from include.spec import feature_types
from include.stats.metrics import summary
from include.tables.store import in_window
from include.verdict import Finding
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:evidently"),
]

ORDER = (
    steps.collect_log,
    steps.join_labels,
    steps.run_checks,
    steps.detect_drift,
    steps.evaluate_performance,
    steps.build_report,
    steps.decide_alarm,
)
ANSWERED = 300
ALTERED = 0.002


@pytest.fixture(scope="module")
def predictions(world: World) -> pl.DataFrame:
    run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    month = in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    return world.tables.read("flight_delays/predictions", where=month).sort("asked_at", "flight_id")


@pytest.fixture(scope="module")
def results(world: World, predictions: pl.DataFrame) -> dict[str, Any]:
    """The first flights of the month were answered online too, one of them with another score."""
    spool = Spool(spool_path(world.settings))
    answers = predictions.head(ANSWERED).with_columns(
        score=pl.when(pl.int_range(pl.len()) == 5)
        .then(pl.col("score") + ALTERED)
        .otherwise("score")
    )
    spool.append([answered(row) for row in answers.iter_rows(named=True)])
    spool.close()
    return run_all(world)


def run_all(world: World) -> dict[str, Any]:
    done: dict[str, Any] = {}
    for step in ORDER:
        done[step.__name__] = run_step(step, world.context(FEBRUARY), done)
    return done


def judge_again(world: World, results: dict[str, Any]) -> None:
    """Bring the tables back to the results after a test that changed them; the report, which costs
    most, stays.
    """
    done: dict[str, Any] = {"build_report": results["build_report"]}
    for step in ORDER:
        if step is not steps.build_report:
            done[step.__name__] = run_step(step, world.context(FEBRUARY), done)


def answered(row: dict[str, Any]) -> LoggedPrediction:
    keys = (*FLIGHTS.serving.entity_keys, "scheduled_departure")
    request = {
        name: row[name].isoformat() if isinstance(row[name], datetime) else row[name]
        for name in keys
    }
    asked = int(row["asked_at"].timestamp() * 1_000_000)
    return LoggedPrediction(
        prediction_id=prediction_ids(1)[0],
        use_case="flight_delays",
        model_version=row["model_version"],
        answered_at=asked,
        event_time=asked,
        target_id=row["flight_id"],
        request=request,
        features={name: row[name] for name in feature_types(FLIGHTS)},
        score=row["score"],
        decision=row["decision"],
        flags=[],
        latency_ms=1.0,
    )


def test_labels_are_joined_and_counted(
    world: World, results: dict[str, Any], predictions: pl.DataFrame
) -> None:
    counts = results["join_labels"]["batch"]
    arrivals = world.tables.read("raw/arrivals", where=pl.col("known_at") < FEBRUARY.end)
    assert counts["predictions"] == predictions.height
    assert counts["labelled"] == predictions.join(arrivals, on="flight_id", how="semi").height
    assert (
        counts["labelled"] + counts["not_yet_known"] + counts["never_reported"]
        == counts["predictions"]
    )
    online = world.tables.read("flight_delays/prediction_labels")
    assert online.height == results["join_labels"]["online"]["labelled"]
    assert (
        online.join(arrivals, on="flight_id").filter(pl.col("label") != pl.col("late")).is_empty()
    )


def test_performance_is_that_of_the_labelled_rows(
    world: World, results: dict[str, Any], predictions: pl.DataFrame
) -> None:
    measured = results["evaluate_performance"]
    arrivals = world.tables.read("raw/arrivals", where=pl.col("known_at") < FEBRUARY.end)
    joined = predictions.join(
        arrivals.select("flight_id", "late"), on="flight_id", maintain_order="left"
    )
    expected = summary(joined["late"].to_numpy(), joined["score"].to_numpy())
    assert {name: measured["batch"][name] for name in expected} == pytest.approx(expected)
    for side in ("batch", "baseline"):  # the package knows it of its test split, which has days too
        assert measured[side]["blocks"] > 5
        assert measured[side]["auc_block_error"] > 0.0
    assert measured["judged"]
    assert measured["baseline"]["auc"] > 0.5
    assert {part["column"] for part in measured["slices"]} == {
        "origin",
        "carrier",
        "origin_x_carrier",
    }
    assert measured["online"]["rows"] == ANSWERED


def test_parity_finds_the_altered_score(results: dict[str, Any]) -> None:
    parity = results["evaluate_performance"]["parity"]
    assert (parity["compared"], parity["above_tolerance"]) == (ANSWERED, 1)
    assert parity["largest"] == pytest.approx(ALTERED)
    assert parity["same_inputs"]["compared"] == ANSWERED


def test_drift_covers_every_input_and_the_score(world: World, results: dict[str, Any]) -> None:
    drift = results["detect_drift"]
    assert [column["column"] for column in drift["columns"]] == [
        item.name for item in FLIGHTS.inputs
    ] + ["score"]
    rows = world.tables.read(
        "flight_delays/drift", where=pl.col("interval_start") == FEBRUARY.start
    )
    assert sorted(rows["column"]) == sorted(column["column"] for column in drift["columns"])
    assert rows.filter((pl.col("kind") != "score") & pl.col("drifted")).height == len(
        drift["drifted_inputs"]
    )
    assert drift["online"]["rows"] == ANSWERED
    assert drift["online"]["psi"].keys() == {column["column"] for column in drift["columns"]}


def test_drift_is_what_the_corrected_check_finds(world: World, results: dict[str, Any]) -> None:
    found = {
        item["part"]: item
        for item in results["run_checks"]["findings"]
        if item["subject"] == "distribution" and item["rule"] == "moved"
    }
    drift = results["detect_drift"]
    compared = {
        column["column"]: column for column in drift["columns"] if column["effect"] is not None
    }
    assert compared.keys() == found.keys() >= {item.name for item in FLIGHTS.inputs}
    for name, column in compared.items():
        details = found[name]["example"]
        assert (column["effect"], column["corrected_p"], column["drifted"]) == (
            found[name]["observed"],
            details["corrected_p"],
            details["drifted"],
        )
    assert drift["verdict"] in ("stable", "drifted")
    inputs = [item.name for item in FLIGHTS.inputs if compared[item.name]["drifted"]]
    assert list(drift["drifted_inputs"]) == inputs
    assert drift["drifted_share"] == len(inputs) / len(FLIGHTS.inputs)


def test_the_decision_is_recorded_in_one_row(world: World, results: dict[str, Any]) -> None:
    decision = results["decide_alarm"]
    rows = world.tables.read(
        "flight_delays/monitoring", where=pl.col("interval_start") == FEBRUARY.start
    )
    assert rows.height == 1
    row = rows.row(0, named=True)
    assert (row["alarm"], row["verdict"]) == (decision["alarm"], decision["verdict"])
    assert row["interval_end"] == FEBRUARY.end
    assert json.loads(row["drifted_inputs_json"]) == results["detect_drift"]["drifted_inputs"]
    assert row["auc"] == results["evaluate_performance"]["batch"]["auc"]
    assert row["metric_low"] < row["auc"] < row["metric_high"]
    assert row["gap_low"] < row["mean_score"] - row["observed_rate"] < row["gap_high"]
    assert row["parity_max_difference"] == pytest.approx(ALTERED)
    assert (row["model_version"], row["online_rows"]) == (world.version, ANSWERED)
    assert rows.schema["interval_start"] == pl.Datetime("us", "UTC")


def test_monitoring_again_changes_nothing(world: World, results: dict[str, Any]) -> None:
    again = run_all(world)
    assert again.pop("collect_log")["shipped"] == 0
    assert again == {name: value for name, value in results.items() if name != "collect_log"}


def test_the_report_is_logged_to_the_run_of_the_version_that_scored(
    world: World, results: dict[str, Any]
) -> None:
    run_id = registered_version(world.settings, FLIGHTS, world.version).run_id
    place = results["build_report"]["mlflow"]
    assert place == f"runs:/{run_id}/monitoring/{FEBRUARY.label}"
    logged = connect(world.settings).list_artifacts(run_id, f"monitoring/{FEBRUARY.label}")
    assert {Path(item.path).name for item in logged} >= {"report.html", "report.json"}


def test_metrics_of_the_interval_are_logged_once_to_the_version_that_scored(
    world: World, results: dict[str, Any]
) -> None:
    run_id = registered_version(world.settings, FLIGHTS, world.version).run_id
    client, decision = connect(world.settings), results["decide_alarm"]
    assert decision["mlflow"] == f"runs:/{run_id}"
    run_step(steps.decide_alarm, world.context(FEBRUARY), results)
    step = int(FEBRUARY.end.timestamp())
    for name, value in {
        "auc": decision["facts"]["auc"],
        "alarm": float(decision["alarm"]),
        "drifted_share": results["detect_drift"]["drifted_share"],
    }.items():
        points = client.get_metric_history(run_id, f"monitoring.{name}")
        assert [(point.step, point.value) for point in points] == [(step, value)]
    assert client.get_metric_history(run_id, "monitoring.estimated_auc")


def test_what_changes_when_an_interval_is_judged_again_is_the_newest_point_of_its_step(
    world: World, results: dict[str, Any]
) -> None:
    place = (world.settings, FLIGHTS, FEBRUARY, world.version)
    for value in (0.5, 0.5, 0.25):
        assert log_metrics(*place, {"tried": value, "a word": "no", "hole": math.nan}).startswith(
            "runs:/"
        )
    run_id = registered_version(world.settings, FLIGHTS, world.version).run_id
    client = connect(world.settings)
    points = client.get_metric_history(run_id, "monitoring.tried")
    assert [point.value for point in sorted(points, key=lambda point: point.timestamp)] == [
        0.5,
        0.25,
    ]
    metrics = client.get_run(run_id).data.metrics
    assert metrics["monitoring.tried"] == 0.25
    assert not {"monitoring.a word", "monitoring.hole"} & metrics.keys()


def test_metrics_that_mlflow_does_not_take_hold_nothing_back(
    world: World, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version_metrics, "registered_version", gone)
    decision = run_step(steps.decide_alarm, world.context(FEBRUARY), results)
    assert decision["mlflow"] == "not logged: version 1 was deleted"
    assert decision["alarm"] == results["decide_alarm"]["alarm"]
    monkeypatch.undo()
    away = world.settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    logged = log_metrics(away, FLIGHTS, FEBRUARY, world.version, {"auc": 0.5})
    assert logged.startswith("not logged: MLflow does not answer on http://127.0.0.1:9")


def test_a_report_that_mlflow_does_not_take_is_still_there(
    world: World, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "registered_version", gone)
    built = run_step(steps.build_report, world.context(FEBRUARY))
    assert Path(built["html"]).is_file()
    assert built["mlflow"] == "not logged: version 1 was deleted"


def gone(*_: object) -> None:
    raise RegistryError("version 1 was deleted")


def test_the_report_is_one_page_without_a_network(world: World, results: dict[str, Any]) -> None:
    page = Path(results["build_report"]["html"])
    assert results["build_report"]["error"] is None
    assert page.name == "report.html"
    assert page.parent.name == FEBRUARY.label
    text = page.read_text(encoding="utf-8")
    assert "<script src=" not in text
    title = f"{FLIGHTS.title}: 2013-02-01 00:00 to 2013-03-01 00:00 UTC"
    assert f"<title>{title}</title>" in text
    assert f"<h1>{title}</h1>" in text
    assert f"Scored by version {world.version};" in text
    assert "of its training set flight_delays/snapshots" in text
    details = json.loads(Path(results["build_report"]["json_path"]).read_text(encoding="utf-8"))
    assert len(details["evidently"]["metrics"]) > len(FLIGHTS.inputs)


def test_a_report_that_fails_does_not_hold_back_the_alarm(
    world: World,
    results: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(lambda: judge_again(world, results))
    monkeypatch.setattr(report, "render", lambda *given: 1 / 0)
    broken = run_step(steps.build_report, world.context(FEBRUARY))
    assert broken["html"] is None
    assert "ZeroDivisionError" in broken["error"]
    decision = run_step(
        steps.decide_alarm, world.context(FEBRUARY), {**results, "build_report": broken}
    )
    assert decision["verdict"] == results["decide_alarm"]["verdict"]
    monkeypatch.undo()


def test_columns_that_evidently_cannot_take_are_left_out_and_named() -> None:
    current = pl.DataFrame(
        {
            "a": [1.0, 2.0],
            "b": [None, float("nan")],
            "c": [1.0, 2.0],
            "d": ["x", None],
            "e": [None, None],
        },
        strict=False,
    )
    reference = pl.DataFrame(
        {
            "a": [1.0, 2.0],
            "b": [1.0, 2.0],
            "c": [float("inf"), 2.0],
            "d": ["x", "y"],
            "e": ["x", "y"],
        }
    )
    compared = report.compare_columns(current.with_columns(pl.col("e").cast(pl.String)), reference)
    assert compared.left_out == {
        "b": "no value in the current rows",
        "c": "an infinite number in the reference rows",
        "e": "no value in the current rows",
    }
    assert (compared.numbers, compared.categories) == (("a",), ("d",))


def test_an_interval_that_is_not_scored_cannot_be_judged(
    world: World, results: dict[str, Any]
) -> None:
    march = Interval(datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))
    for step in (steps.join_labels, steps.detect_drift, steps.evaluate_performance):
        with pytest.raises(NotReadyYet, match="flight_delays__batch_scoring"):
            run_step(step, world.context(march), results)


def test_a_missing_reference_is_an_error_and_never_no_drift(
    world: World, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    true_model = population.judged_model

    def without_reference(*given: Any) -> Any:
        model = true_model(*given)
        model.reference = {}
        return model

    monkeypatch.setattr(steps, "judged_model", without_reference)
    with pytest.raises(RegistryError, match=r"reference\.json"):
        run_step(steps.detect_drift, world.context(FEBRUARY), results)


def test_few_rows_are_neither_an_alarm_nor_an_all_clear(
    world: World, results: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(lambda: judge_again(world, results))
    limits = FLIGHTS.monitoring.model_copy(
        update={"minimum_rows": 1_000_000, "alarm_on": ("drift", "performance")}
    )
    context = replace(
        world.context(FEBRUARY), use_case=FLIGHTS.model_copy(update={"monitoring": limits})
    )
    done: dict[str, Any] = {}
    for step in ORDER:
        if step is not steps.build_report:
            done[step.__name__] = run_step(step, context, done)
    decision = done["decide_alarm"]
    assert (decision["alarm"], decision["verdict"]) == (False, "none")
    assert len(decision["not_judged"]) == 2
    row = world.tables.read(
        "flight_delays/monitoring", where=pl.col("interval_start") == FEBRUARY.start
    ).row(0, named=True)
    assert row["drift"] == "not judged"
    assert json.loads(row["reasons_json"]) == decision["not_judged"]


def test_the_checks_are_recorded_and_say_what_they_saw(
    world: World, results: dict[str, Any]
) -> None:
    checked = results["run_checks"]
    assert checked["error"] is None
    assert {item["subject"] for item in checked["findings"]} == set(CHECKS)
    rows = world.tables.read(
        "flight_delays/findings", where=pl.col("interval_start") == FEBRUARY.start
    )
    assert rows.height == len(checked["findings"])
    moved = rows.filter((pl.col("check") == "distribution") & (pl.col("part") != ""))
    assert set(moved["part"]) - {"score"} == {item.name for item in FLIGHTS.inputs}
    estimated = rows.filter(pl.col("rule") == "estimated_auc")["observed"].item()
    assert 0.5 < estimated < 1.0
    # A month of the same schema: nothing of it is another one.
    assert [
        item["reason"]
        for item in checked["findings"]
        if not item["passed"] and item["subject"] == "schema_skew"
    ] == []


def test_checks_without_their_training_set_say_so_and_hold_nothing_back(
    world: World,
    results: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(lambda: judge_again(world, results))

    def gone_set(*_: object, **__: object) -> Any:
        raise TableNotFound("version 0 of flight_delays/snapshots is gone")

    monkeypatch.setattr(steps, "build_window", gone_set)
    checked = run_step(steps.run_checks, world.context(FEBRUARY))
    assert (checked["findings"], checked["error"]) == (
        [],
        "version 0 of flight_delays/snapshots is gone",
    )
    done = {**results, "run_checks": checked}
    done["detect_drift"] = run_step(steps.detect_drift, world.context(FEBRUARY), done)
    assert done["detect_drift"]["verdict"] == "not judged"
    decision = run_step(steps.decide_alarm, world.context(FEBRUARY), done)
    assert "drift" not in decision["verdict"]
    assert any(
        "version 0 of flight_delays/snapshots is gone" in why for why in decision["not_judged"]
    )
    assert ("performance" in decision["verdict"]) == (
        "performance" in results["decide_alarm"]["verdict"]
    )
    monkeypatch.undo()


def test_an_alarm_on_drift_follows_the_check_and_not_the_psi(
    world: World, results: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """Half of the inputs surely far: the alarm. The same PSI, and the check is not sure: none."""
    request.addfinalizer(
        lambda: [
            run_step(step, world.context(FEBRUARY), results)
            for step in (steps.detect_drift, steps.decide_alarm)
        ]
    )
    inputs = [item.name for item in FLIGHTS.inputs]
    outcomes = {}
    for sure in (True, False):
        checked = json.loads(json.dumps(results["run_checks"]))
        for item in checked["findings"]:
            if item["part"] in inputs[: len(inputs) // 2] and item["rule"] == "moved":
                item["example"]["drifted"] = sure
            elif item["rule"] == "moved":
                item["example"]["drifted"] = False
        limits = FLIGHTS.monitoring.model_copy(update={"alarm_on": ("drift",)})
        context = replace(
            world.context(FEBRUARY), use_case=FLIGHTS.model_copy(update={"monitoring": limits})
        )
        done = {**results, "run_checks": checked}
        done["detect_drift"] = run_step(steps.detect_drift, context, done)
        done["decide_alarm"] = run_step(steps.decide_alarm, context, done)
        outcomes[sure] = done
    assert outcomes[True]["decide_alarm"]["alarm"]
    assert "inputs have drifted" in outcomes[True]["decide_alarm"]["reasons"][0]
    assert not outcomes[False]["decide_alarm"]["alarm"]
    columns = [
        [column["psi"] for column in done["detect_drift"]["columns"]] for done in outcomes.values()
    ]
    assert columns[0] == columns[1]


def test_another_schema_is_an_alarm_of_its_own(world: World, results: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(results["run_checks"]))
    broken["findings"].append(
        Finding(
            rule="retyped",
            subject="schema_skew",
            part="dest",
            passed=False,
            reason="dest is a number, in training it was a text.",
        ).model_dump(mode="json")
    )
    done = {**results, "run_checks": broken}
    done["decide_alarm"] = run_step(steps.decide_alarm, world.context(FEBRUARY), done)
    announced = run_step(steps.propose_alarm, world.context(FEBRUARY), done)
    (alarm,) = open_alarms(world, "schema")
    assert "dest is a number" in alarm.reason
    shown = page_path(world.settings, FLIGHTS).read_text(encoding="utf-8")
    assert "dest is a number" in shown
    assert f'href="{FEBRUARY.label}/report.html"' in shown
    assert announced["announce"] == done["decide_alarm"]["alarm"]
    quiet = {
        **results,
        "decide_alarm": run_step(steps.decide_alarm, world.context(FEBRUARY), results),
    }
    run_step(steps.propose_alarm, world.context(FEBRUARY), quiet)
    assert open_alarms(world, "schema") == []


def test_an_endpoint_that_fails_its_callers_is_an_alarm_of_its_own(
    world: World, results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was recorded of the interval decides, and the alarm starts no training."""
    metrics = serving_metrics.metrics_table(FLIGHTS)
    of_month = pl.col("moment") == FEBRUARY.end
    recorded = world.tables.read(metrics, where=of_month).with_columns(
        reachable=True,
        requests=pl.lit(4000.0),
        server_errors=pl.lit(400.0),
        total_p99_ms=pl.lit(9.0),
    )
    row = recorded.row(0, named=True)
    monkeypatch.setattr(window, "samples_until", lambda *_: (row, ()))
    broken = {**results, "run_checks": run_step(steps.run_checks, world.context(FEBRUARY), results)}
    broken["decide_alarm"] = run_step(steps.decide_alarm, world.context(FEBRUARY), broken)
    run_step(steps.propose_alarm, world.context(FEBRUARY), broken)
    (alarm,) = open_alarms(world, "serving")
    assert "400 of 4,000 requests failed by the endpoint's own fault" in alarm.reason
    assert broken["decide_alarm"]["alarm"] == results["decide_alarm"]["alarm"]

    row["server_errors"] = 0.0
    mended = {**results, "run_checks": run_step(steps.run_checks, world.context(FEBRUARY), results)}
    mended["decide_alarm"] = run_step(steps.decide_alarm, world.context(FEBRUARY), mended)
    run_step(steps.propose_alarm, world.context(FEBRUARY), mended)
    assert open_alarms(world, "serving") == []


def test_what_answers_cost_is_told_where_prices_are(
    world: World,
    results: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(lambda: run_step(steps.run_checks, world.context(FEBRUARY), results))
    prices = tmp_path / "prices.toml"
    prices.write_text('currency = "EUR"\nprocessor_hour = 0.04\ngigabyte_hour = 0.005\n')
    settings = world.settings.model_copy(update={"prices_file": prices})
    sampled = {
        **dict.fromkeys(serving_metrics.SCHEMA),
        "moment": FEBRUARY.end,
        "sampled_at": FEBRUARY.end,
        "since": FEBRUARY.start,
        "reachable": True,
        "rows": 10_000.0,
        "requests": 10_000.0,
        "server_errors": 0.0,
        "cpu_seconds": 36_000.0,
        "memory_bytes": 0.0,
    }
    monkeypatch.setattr(window, "samples_until", lambda *_: (sampled, ()))
    monkeypatch.setattr(window, "sampled_rows", lambda *_: [sampled])
    checked = run_step(
        steps.run_checks, replace(world.context(FEBRUARY), settings=settings), results
    )
    (told,) = [item for item in checked["findings"] if item["rule"] == "cost_per_thousand"]
    assert told["observed"] == pytest.approx(0.04)  # ten hours of a processor
    assert told["reason"] == "A thousand answers cost 0.04 EUR."
    prices.write_text("currency = ")
    checked = run_step(
        steps.run_checks, replace(world.context(FEBRUARY), settings=settings), results
    )
    assert checked["error"] is None
    assert "cost_per_thousand" not in {item["rule"] for item in checked["findings"]}


def open_alarms(world: World, kind: str) -> list[Alarm]:
    alarms = AlarmStore(world.settings).alarms(use_case="flight_delays", is_open=True)
    return [one for one in alarms if one.key.kind == kind]
