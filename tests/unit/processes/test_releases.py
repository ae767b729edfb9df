"""The step that raises the alarm about what is written down about releases."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.alarms.store import AlarmStore
from include.interval import Interval
from include.processes.releases import check_releases, record_registration
from include.release.ledger import Ledger
from include.settings import load_settings
from include.steps import RunInfo, StepContext
from include.verdict import Finding, GateVerdict
from tests.unit.model.synthetic import USE_CASE

DAY = Interval(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def context(tmp_path: Path) -> StepContext:
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    return StepContext(USE_CASE, settings, DAY, RunInfo("monitoring", "scheduled__1"))


def test_a_home_without_a_release_is_accepted(context: StepContext) -> None:
    assert check_releases(context).accepted
    Ledger(context.settings).append("registered", "parcels", 1, "d", "a", "r", {})
    result = check_releases(context)
    assert (result.accepted, result.rows, result.reasons) == (True, 1, ())


def test_a_broken_ledger_is_refused_by_row_and_kind(context: StepContext) -> None:
    ledger = Ledger(context.settings)
    for version in (1, 2):
        ledger.append("registered", "parcels", version, "d", "a", "r", {})
    context.settings.ledger_path.unlink()
    result = check_releases(context)
    assert not result.accepted
    reason = (
        f"The ledger was deleted: it is empty, and its head of {ledger.head().recorded_at} says 2"
        " rows. Restore the ledger from a backup."
    )
    assert result.reasons == (reason,)
    assert result.findings[0].subject == "deleted"
    (alarm,) = AlarmStore(context.settings).alarms(is_open=True)
    assert (alarm.key.kind, alarm.severity, alarm.reason) == ("ledger", "critical", reason)


def test_a_ledger_that_holds_again_closes_its_alarm(context: StepContext) -> None:
    Ledger(context.settings).append("registered", "parcels", 1, "d", "a", "r", {})
    aside = context.settings.ledger_path.rename(context.settings.home / "aside.db")
    assert not check_releases(context).accepted
    aside.rename(context.settings.ledger_path)
    assert check_releases(context).accepted
    (alarm,) = AlarmStore(context.settings).alarms()
    assert (alarm.state, alarm.changed_by) == ("closed", "monitoring/scheduled__1")


def test_a_registration_is_one_row_whoever_repeats_it(context: StepContext) -> None:
    verdict = GateVerdict(findings=(Finding(rule="auc", passed=True),), champion_version=3)
    metrics = {"test.auc": 0.7, "test.lift": float("nan")}
    values = (context, 4, "digest-4", verdict, "mlflow-run", metrics)
    row = record_registration(*values)
    assert record_registration(*values) == row
    assert (row.event, row.version, row.actor) == ("registered", 4, "monitoring:local")
    assert row.evidence["metrics"] == {"test.auc": 0.7}
    assert row.reason == "It passed all 1 findings of its gates, beside version 3."
    assert Ledger(context.settings).rows() == [row]
