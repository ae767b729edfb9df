"""Alarms as the tests raise them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.alarms.records import Signal, signal_of
from include.interval import Interval
from include.settings import Settings, load_settings
from include.spec import AlarmKind, Alarms
from include.verdict import Finding, Verdict
from tests.unit.model.synthetic import USE_CASE

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PARCELS = USE_CASE.model_copy(update={"alarms": Alarms(cool_down=DAY)})
DECAYED = Verdict(
    findings=(
        Finding(
            rule="auc_drop",
            subject="performance",
            metric="auc",
            observed=0.6,
            limit=0.65,
            passed=False,
            reason="below the threshold",
        ),
    )
)


def settings_in(home: Path, **more: str) -> Settings:
    return load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home), **more})


def window(number: int) -> Interval:
    """The day with this number of 2013."""
    start = datetime(2013, 1, 1, tzinfo=UTC) + number * DAY
    return Interval(start, start + DAY)


def decayed(number: int, *, run: str | None = None, use_case: Any = PARCELS) -> Signal:
    """Monitoring's signal about a window."""
    return signal_of(
        use_case,
        "performance",
        f"AUC is 0.6 on day {number}.",
        run=run or f"monitoring/day_{number}",
        evidence=DECAYED,
        window=window(number),
    )


def happened(
    kind: AlarmKind = "rollback", *, run: str = "deployment/1", subject: str = "", **more: Any
) -> Signal:
    """A signal that is about no window."""
    return signal_of(PARCELS, kind, f"{kind} happened", run=run, subject=subject, **more)
