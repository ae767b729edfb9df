"""A window that was judged with few labels is judged again when more have come, and says what
turned: in its row, its alarm, and the training that it starts.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.alarms.store import AlarmStore
from include.features.repository import TABLES_VARIABLE
from include.features.store import apply_definitions
from include.files import sqlite_url
from include.interval import Interval
from include.monitoring import records
from include.processes import monitoring as steps
from include.processes import training
from include.processes.batch_scoring import score_interval
from include.processes.results import CheckedWindow
from include.spec import UseCase
from include.steps import StepContext
from include.tables.store import TableStore
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World

FIRST = Interval(FEBRUARY.start, datetime(2013, 2, 15, tzinfo=UTC))
SECOND = Interval(FIRST.end, FEBRUARY.end)
LATER = datetime(2013, 2, 20, tzinfo=UTC)
NEVER = datetime(2014, 1, 1, tzinfo=UTC)
DECISION = (
    steps.join_labels,
    steps.detect_drift,
    steps.evaluate_performance,
    steps.decide_alarm,
    steps.propose_alarm,
)


@pytest.fixture
def own(world: World, tmp_path: Path) -> World:
    """A copy of the world with its February scored, whose labels a test may delay."""
    home = tmp_path / "home"
    shutil.copytree(world.settings.home, home, ignore=shutil.ignore_patterns("alarms", "triggers"))
    settings = world.settings.model_copy(
        update={
            "home": home,
            "tables_uri": str(home / "tables"),
            "mlflow_tracking_uri": sqlite_url(home / "mlflow.db"),
        }
    )
    copied = replace(world, settings=settings, tables=TableStore(settings.tables_uri))
    for name in ("monitoring", "findings", "drift", "triggers"):
        shutil.rmtree(home / "tables" / FLIGHTS.name / name, ignore_errors=True)
    score_interval(copied.context(FEBRUARY, "batch_scoring"))
    return copied


def delay(world: World, *delays: tuple[pl.Expr, datetime]) -> None:
    """Make the labels of some flights known later than they were."""
    arrivals = world.tables.read("raw/arrivals")
    flights = world.tables.read("raw/flights").select("flight_id", "asked_at")
    joined = arrivals.join(flights, on="flight_id", how="left", maintain_order="left")
    for condition, moment in delays:
        later = pl.max_horizontal("known_at", pl.lit(moment))
        joined = joined.with_columns(
            pl.when(condition).then(later).otherwise("known_at").alias("known_at")
        )
    world.tables.replace_all("raw/arrivals", joined.select(arrivals.columns))


def judge(world: World, interval: Interval, use_case: UseCase) -> dict[str, Any]:
    """What the deciding steps of an interval leave, whose inputs nobody compared."""
    context: StepContext = replace(world.context(interval), use_case=use_case)
    checked = CheckedWindow(
        rows=1,
        model_version=world.version,
        findings=(),
        error="not compared",
        table=records.write_findings(use_case, world.tables, interval, world.version, ()),
    )
    done: dict[str, Any] = {"run_checks": checked.as_json()}
    for step in DECISION:
        done[step.__name__] = run_step(step, context, done)
    return done


def limited(**limits: Any) -> UseCase:
    monitoring = FLIGHTS.monitoring.model_copy(update={"minimum_rows": 700, **limits})
    return FLIGHTS.model_copy(update={"monitoring": monitoring})


def row_of(world: World, interval: Interval) -> dict[str, Any]:
    rows = world.tables.read("flight_delays/monitoring")
    return rows.filter(pl.col("interval_start") == interval.start).row(0, named=True)


def alarms_of(world: World) -> list[Any]:
    alarms = AlarmStore(world.settings).alarms(use_case="flight_delays")
    return [alarm for alarm in alarms if alarm.key.kind == "performance"]


IN_FIRST = pl.col("asked_at") < FIRST.end
IN_SECOND = pl.col("asked_at") >= FIRST.end


@pytest.mark.slow
def test_a_window_without_labels_decays_when_they_come_and_starts_a_training(own: World):
    delay(own, (IN_FIRST, LATER), (IN_SECOND, NEVER))
    first = judge(own, FIRST, limited())
    assert row_of(own, FIRST)["verdict"] == "none"
    assert "performance" in " ".join(first["decide_alarm"]["not_judged"])
    assert alarms_of(own) == []

    second = judge(own, SECOND, limited())
    assert not second["evaluate_performance"]["judged"]
    assert not second["decide_alarm"]["alarm"]
    (window,) = second["decide_alarm"]["reopened"]
    assert (window["before"], window["after"], window["labelled_before"]) == (
        "not judged",
        "decayed",
        0,
    )
    row = row_of(own, FIRST)
    assert (row["verdict"], row["alarm"], row["labels_until"]) == ("performance", True, SECOND.end)
    assert row["labelled"] == window["labelled"] > 700
    assert row["metric_low"] < row["auc"] < row["metric_high"], "as the alarm saw it"
    assert json.loads(row["former_json"])[0]["verdict"] == "none"
    sentence = f"Late labels turn the verdict on {FIRST.text} from not judged to decayed"
    assert json.loads(row["reasons_json"])[0].startswith(sentence)
    (alarm,) = alarms_of(own)
    assert alarm.is_open
    assert alarm.window == FIRST
    assert sentence in alarm.reason
    announced = second["propose_alarm"]
    assert announced["announce"]
    assert sentence in announced["reason"]

    again = judge(own, SECOND, limited())
    assert again["decide_alarm"] == second["decide_alarm"]
    assert row_of(own, FIRST) == row
    assert alarms_of(own) == [alarm]


@pytest.mark.slow
def test_a_window_that_decayed_by_its_first_labels_is_quiet_by_all_of_them(own: World):
    """Late flights are reported first: the rate of the first labels is that of no month."""
    late = own.tables.read("raw/arrivals").filter(pl.col("late") == 1)["flight_id"]
    delay(own, (IN_FIRST & ~pl.col("flight_id").is_in(late.implode()), LATER), (IN_SECOND, NEVER))
    wide = limited(minimum_rows=100, max_auc_drop=0.5, max_calibration_gap=0.3)
    first = judge(own, FIRST, wide)
    assert first["decide_alarm"]["verdict"] == "performance"
    (alarm,) = alarms_of(own)
    assert alarm.is_open

    second = judge(own, SECOND, wide)
    (window,) = second["decide_alarm"]["reopened"]
    assert (window["before"], window["after"], window["alarm"]) == ("decayed", "quiet", False)
    (closed,) = alarms_of(own)
    assert not closed.is_open
    assert "from decayed to quiet" in closed.changed_because
    assert row_of(own, FIRST)["verdict"] == "none"
    assert not second["propose_alarm"]["announce"]


@pytest.mark.slow
def test_a_window_before_one_that_was_judged_turns_and_decides_nothing(own: World):
    delay(own, (IN_FIRST, LATER))
    wide = limited(max_auc_drop=0.5, max_calibration_gap=0.5)
    judge(own, FIRST, wide)
    second = judge(own, SECOND, limited(max_auc_drop=0.01))
    (window,) = second["decide_alarm"]["reopened"]
    assert not window["decides"]
    (alarm,) = alarms_of(own)
    assert alarm.window == SECOND


@pytest.mark.slow
def test_nothing_is_judged_again_where_none_is_declared_or_nothing_turned(own: World):
    delay(own, (IN_FIRST, LATER), (IN_SECOND, NEVER))
    judge(own, FIRST, limited())
    before = row_of(own, FIRST)
    assert judge(own, SECOND, limited(late_windows=0))["decide_alarm"]["reopened"] == []
    many = limited(minimum_rows=1_000_000)
    assert judge(own, SECOND, many)["decide_alarm"]["reopened"] == []
    assert row_of(own, FIRST) == before


def test_predictions_are_never_labels(own: World, monkeypatch: pytest.MonkeyPatch):
    """All of February is scored; what was never reported is learned by no training."""
    delay(own, (IN_SECOND, NEVER))
    monkeypatch.setenv(TABLES_VARIABLE, own.settings.tables_uri)
    apply_definitions(own.settings)
    done: dict[str, Any] = {}
    for step in (training.open_run, training.build_snapshot):
        done[step.__name__] = run_step(step, own.context(FEBRUARY, "training"), done)
    snapshot = done["build_snapshot"]["snapshot"]
    learned = own.tables.read(snapshot["name"], version=snapshot["version"])
    predicted = own.tables.read("flight_delays/predictions").select("flight_id", "asked_at")
    unreported = predicted.filter(IN_SECOND)
    assert unreported.height > 500
    assert learned.join(unreported, on="flight_id", how="semi").is_empty()
    assert not learned.join(predicted, on="flight_id", how="semi").is_empty()
    reported = own.tables.read("raw/arrivals").select("flight_id", reported="late")
    joined = learned.join(reported, on="flight_id", how="left")
    assert joined["late"].to_list() == joined["reported"].to_list()
    assert not {"score", "decision"} & set(learned.columns)
