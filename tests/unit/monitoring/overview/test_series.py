"""What is drawn is what monitoring has written, and nothing else."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from include.alarms.store import AlarmStore
from include.monitoring import records
from include.monitoring.checks.base import measured
from include.monitoring.checks.effectiveness import EFFECTIVENESS
from include.monitoring.checks.estimate import ESTIMATE
from include.monitoring.overview.marks import Records, marks_of, read_records
from include.monitoring.overview.series import Measured, Series, read_series
from include.problems.registry import strategy_of
from include.release.ledger import Entry, Ledger
from include.tables.store import TableStore
from tests.unit.alarms.samples import happened, settings_in
from tests.unit.monitoring.overview.written import (
    AUC,
    BEFORE,
    FLIGHTS,
    alarmed,
    checked,
    month,
    write_month,
)
from tests.unit.problems.problem_cases import use_case


@pytest.fixture
def tables(tmp_path) -> TableStore:
    return TableStore(str(tmp_path / "tables"))


def test_nothing_was_monitored(tables):
    assert read_series(FLIGHTS, tables) == Series()


def test_a_window_has_what_was_written_with_its_bounds_and_limits(tables):
    write_month(tables, 4)
    series = read_series(FLIGHTS, tables)
    (window,) = series.windows
    assert window.metric == Measured(AUC, 0.70, 0.74)
    assert window.estimated == Measured(0.74, 0.73, 0.75)
    assert window.before == BEFORE
    assert window.worst == pytest.approx(BEFORE - FLIGHTS.monitoring.max_auc_drop)
    assert window.gap == Measured(pytest.approx(0.04), 0.01, 0.07)
    assert window.error == 0.02
    assert window.drifted_share == 0.0
    assert {name: item[0].effect for name, item in series.columns.items()} == {
        "dest": 0.1,
        "humidity": 0.1,
    }


def test_what_was_not_written_is_a_gap(tables):
    write_month(tables, 4, labels=False, drift="not judged")
    write_month(tables, 5, bounds=False)
    first, second = read_series(FLIGHTS, tables).windows
    assert (first.metric, first.gap, first.error, first.worst) == (None, None, None, None)
    assert first.estimated is not None
    assert first.drifted_share is None
    assert second.metric == Measured(AUC)
    assert second.estimated == Measured(0.74)


def test_a_row_without_bounds_has_none_of_another_number(tables):
    write_month(tables, 4, auc=0.66)
    (window,) = read_series(FLIGHTS, tables).windows
    assert window.metric == Measured(0.66)


def test_the_bounds_are_those_of_the_alarm_also_when_late_labels_change_the_number(tables):
    bounds = {"metric_low": 0.61, "metric_high": 0.71, "gap_low": -0.02, "gap_high": 0.10}
    write_month(tables, 4, auc=0.66, **bounds)
    (window,) = read_series(FLIGHTS, tables).windows
    assert window.metric == Measured(0.66, 0.61, 0.71)
    assert window.gap == Measured(pytest.approx(0.04), -0.02, 0.10)


def test_each_problem_alarms_at_its_own_limit():
    limits = FLIGHTS.monitoring
    several, number = use_case("multiclass"), use_case("regression")
    assert strategy_of(FLIGHTS).alarms_at(0.8) == pytest.approx(0.8 - limits.max_auc_drop)
    drop, increase = several.monitoring.max_accuracy_drop, number.monitoring.max_loss_increase
    assert strategy_of(several).alarms_at(0.8) == pytest.approx(0.8 - drop)
    # The loss is the square of the RMSE; of another loss the RMSE says nothing of the limit.
    assert strategy_of(number).alarms_at(4.0) == pytest.approx(4.0 * math.sqrt(1.0 + increase))
    absolute = number.problem.model_copy(update={"loss": "absolute"})
    changed = number.model_copy(update={"problem": absolute})
    assert strategy_of(changed).alarms_at(4.0) is None


def test_of_a_number_the_rmse_is_shown_with_the_root_of_the_estimated_square(tables):
    case = use_case("regression")
    row: dict[str, Any] = dict.fromkeys(records.monitoring_schema(case))
    del row["interval_start"], row["interval_end"]
    row |= {"rows": 900, "labelled": 800, "drift": "none", "alarm": False, "verdict": "none"}
    row |= {"reasons_json": "[]", "model_version": 1, "rmse": 3.0, "bias": 0.5, "mean_label": 7.0}
    records.write_monitoring(case, tables, month(4), row)
    found = [
        checked(ESTIMATE, "estimated_mse", 9.0, measured(9.0, 4.0, 16.0)),
        checked(EFFECTIVENESS, "rmse", 3.0, measured(3.0, 2.9, 3.1, before=2.5)),
    ]
    records.write_findings(case, tables, month(4), 1, found)
    (window,) = read_series(case, tables).windows
    assert window.metric == Measured(3.0, 2.9, 3.1)
    assert window.estimated == Measured(3.0, 2.0, 4.0)
    assert window.before == 2.5
    assert (window.score, window.outcome) == (7.5, 7.0)
    assert window.gap == Measured(0.5)


def release(number: int, event: str, version: int, when: datetime) -> Entry:
    fields: dict[str, Any] = {"digest": "d", "actor": "engineer", "reason": "as planned"}
    return Entry(
        number=number,
        recorded_at=when,
        event=event,
        use_case="flight_delays",
        version=version,
        evidence={},
        previous="",
        **fields,
    )


def test_a_release_lies_at_its_moment_and_in_a_replay_where_its_version_first_scored(tables):
    write_month(tables, 4)
    write_month(tables, 5, model_version=2)
    write_month(tables, 6, model_version=3, **alarmed("The AUC fell."))
    windows = read_series(FLIGHTS, tables).windows
    within = datetime(2013, 4, 20, tzinfo=UTC)
    years_later = datetime(2026, 1, 1, tzinfo=UTC)
    entries = (
        release(1, "promoted", 2, within),
        release(2, "promoted", 3, years_later),
    )
    marks = marks_of(windows, Records(entries))
    assert [(mark.kind, mark.moment, mark.text) for mark in marks] == [
        ("release", month(4).start, "v1"),
        ("release", within, "v2"),
        ("release", month(6).start, "v3"),
        ("alarm", windows[2].middle, "performance"),
    ]
    assert "Version 3 in service, by engineer: as planned" in marks[2].about
    assert "The AUC fell." in marks[3].about


def test_releases_and_alarms_are_read_from_their_own_records(tmp_path):
    settings = settings_in(tmp_path)
    assert read_records(settings, "parcels") == Records()
    Ledger(settings).append("promoted", "parcels", 1, "d", "engineer", "first", {})
    Ledger(settings).append("registered", "parcels", 2, "e", "engineer", "next", {})
    AlarmStore(settings).signal(happened("rollback"))
    there = read_records(settings, "parcels")
    assert [entry.event for entry in there.releases] == ["promoted"]
    assert [alarm.key.kind for alarm in there.alarms] == ["rollback"]
