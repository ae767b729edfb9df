"""A back-test measures each interval after a training on what was known before it, as monitoring
would have, and changes no table.
"""

from __future__ import annotations

import json
from datetime import timedelta

import polars as pl
import pytest

from include.monitoring.backtest import Backtest, backtest
from include.monitoring.history import monitoring_proposals
from include.spec import Label, Regression, UseCase
from include.spec.times import intervals_between
from include.steps import RunInfo, StepContext
from include.training.estimator import declared_parameters
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]
WEEKS = intervals_between("@weekly", FEBRUARY.start, FEBRUARY.end)
DAYS, MINIMUM = 28, 200
DELAY = {
    "label": Label(column="arrival_delay", description="Minutes late."),
    "problem": Regression(max_rmse=90, max_mae=60, min_r2=0, max_bias=9, max_decile_error=60),
    "baseline_input": None,
}


def weekly(minimum_rows: int = MINIMUM, **changes: object) -> UseCase:
    """The flights judged week by week, after trainings on four weeks."""
    monitoring = FLIGHTS.monitoring.model_copy(update={"minimum_rows": minimum_rows})
    training = FLIGHTS.training.model_copy(update={"window_days": DAYS})
    update = {"monitoring": monitoring, "training": training, **changes}
    return FLIGHTS.model_copy(update=update)


def back_tested(world: World, use_case: UseCase, run_id: str) -> Backtest:
    run = RunInfo(process="training", run_id=run_id)
    context = StepContext(use_case, world.settings, FEBRUARY, run)
    parameters = {**use_case.training.parameters, **declared_parameters(use_case)}
    return backtest(context, WEEKS, parameters, lambda _: None)


def known_before(world: World, week_start) -> int:
    """Flights of the four weeks before it whose arrival was reported by then."""
    asked = world.tables.read("raw/flights").filter(
        pl.col("asked_at") >= week_start - timedelta(days=DAYS), pl.col("asked_at") < week_start
    )
    reported = world.tables.read("raw/arrivals").filter(pl.col("known_at") < week_start)
    return asked.join(reported, on="flight_id", how="semi").height


def test_every_week_is_measured_after_a_training_on_what_was_known_before_it(world: World):
    versions = {name: world.tables.version(name) for name in ("raw/flights", "raw/arrivals")}
    done = back_tested(world, weekly(), "weeks")
    assert [part.interval for part in done.measured] == WEEKS
    assert dict(done.left_out) == {}
    for part in done.measured:
        assert [column.column for column in part.inputs] == [item.name for item in FLIGHTS.inputs]
        assert all(0.0 <= column.effect < 1.0 for column in part.inputs)
        assert [check.rule for check in part.performance] == ["auc_drop", "calibration_gap"]
        folder = f"weeks-before-{part.interval.label}"
        package = world.settings.home / "work" / FLIGHTS.name / folder / "package"
        trained = json.loads((package / "reference.json").read_text())["rows"]
        share = FLIGHTS.training.train_share
        assert trained == pytest.approx(share * known_before(world, part.interval.start), abs=9)
    assert {name: world.tables.version(name) for name in versions} == versions
    fields = [item.field for item in monitoring_proposals(weekly(), done.measured)]
    assert fields == ["drift_effect", "drifted_share", "max_auc_drop", "max_calibration_gap"]


def test_a_regression_gets_the_limits_of_its_own_problem(world: World):
    use_case = weekly(**DELAY)
    proposals = monitoring_proposals(use_case, back_tested(world, use_case, "delay").measured)
    fields = {item.field: float(item.proposed) for item in proposals}
    assert list(fields) == ["drift_effect", "drifted_share", "max_loss_increase", "max_bias"]
    assert all(limit > 0.0 for limit in fields.values())


def test_an_interval_that_monitoring_would_not_judge_is_left_out_with_the_reason(world: World):
    done = back_tested(world, weekly(minimum_rows=5000), "few")
    assert done.measured == ()
    assert list(done.left_out) == [week.text for week in WEEKS]
    assert "below monitoring.minimum_rows (5,000)" in done.left_out[WEEKS[0].text]
