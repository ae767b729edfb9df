"""From Airflow's task context to a Flightdeck step context: which interval, which run, what started
it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Context

from include.catalogue import load_use_case
from include.data_sets.snapshot import training_window
from include.errors import SpecError
from include.interval import Interval
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.triggers.causes import PENDING, read_causes

TRIGGERS = {
    "asset_triggered": "asset",
    "asset_materialization": "manual",
    "operator_triggered": "operator",
}


def step_context(
    context: Context, use_case: str, process: str, *, uses_interval: bool = True
) -> StepContext:
    """Build the step context of the running task.

    With `uses_interval` a run without an interval raises `SpecError`. Without it (a deployment has
    no window of data) the interval falls back to the day that ends when the run was due.
    """
    dag_run = context["dag_run"]
    params = dict(context["params"])
    causes = tuple(_cause(event) for event in dag_run.consumed_asset_events or [])
    run = RunInfo(
        process=process,
        run_id=dag_run.run_id,
        trigger=TRIGGERS.get(dag_run.run_type.value, dag_run.run_type.value),
        triggered_by=getattr(dag_run, "triggering_user_name", None) or "",
        try_number=context["ti"].try_number,
        causes=causes,
        params=params,
    )
    settings = load_settings()
    try:
        relevant = (
            causes
            if any("interval" in cause["extra"] for cause in causes)
            else _recorded(settings, use_case, run)
        )
        interval = run_interval(
            params, relevant, dag_run.data_interval_start, dag_run.data_interval_end
        )
    except SpecError:
        if uses_interval:
            raise
        due = dag_run.run_after.astimezone(UTC)
        interval = Interval(due - timedelta(days=1), due)
    declared = load_use_case(use_case)
    if uses_interval:
        _require_data(declared, process, interval)
    return StepContext(declared, settings, interval, run)


def run_interval(
    params: dict[str, Any],
    causes: tuple[dict[str, Any], ...],
    data_start: datetime | None,
    data_end: datetime | None,
) -> Interval:
    """The interval that a run works on, by the first of these that is given.

    1. The parameter `until` (a date or timestamp): the interval ends there. 2. The newest interval
       among the asset events that
    started the run or, where Airflow has dropped them, among our own recorded causes. 3. Airflow's
    data interval. Raises `SpecError` when there is none: business logic never reads the clock.
    """
    if params.get("until"):
        end = _utc(str(params["until"]))
        return Interval(end - timedelta(days=1), end)
    intervals = [cause["extra"]["interval"] for cause in causes if "interval" in cause["extra"]]
    if intervals:
        newest = max(intervals, key=lambda item: str(item["end"]))
        return Interval.parse(newest["start"], newest["end"])
    if data_start is not None and data_end is not None and data_start < data_end:
        return Interval(data_start.astimezone(UTC), data_end.astimezone(UTC))
    raise SpecError(
        "This run has no data interval: it was neither scheduled nor started by an asset event that"
        " carries one. Trigger it with the parameter `until` (for example 2013-04-01) or with a"
        " data interval."
    )


def _require_data(use_case: UseCase, process: str, interval: Interval) -> None:
    """A run outside the data, as the form's default date gives one, must not end green."""
    what = "data interval"
    if process == "training":
        what, interval = "training window", training_window(use_case, interval)
    first, last = use_case.schedule.start, use_case.schedule.end
    if interval.end > first and (last is None or interval.start <= last):
        return
    until = "still coming" if last is None else f"{last:%Y-%m-%d %H:%M}"
    raise SpecError(
        f"The run's {what}, {interval.start:%Y-%m-%d %H:%M} to"
        f" {interval.end:%Y-%m-%d %H:%M} UTC, holds no data of {use_case.name}: its first moment is"
        f" {first:%Y-%m-%d %H:%M}, its last {until}. Trigger it again with a date in between"
        " (the field `Logical Date`, or `until` where the form has one)."
    )


def _recorded(settings: Settings, use_case: str, run: RunInfo) -> tuple[dict[str, Any], ...]:
    """What our own table knows about a training whose asset events Airflow has dropped: its causes,
    or those that still wait.
    """
    if run.trigger != "asset" or run.process != "training":
        return ()
    recorded = read_causes(settings, use_case)
    selected = [cause for cause in recorded if cause.consumed_by == run.run_id] or [
        cause for cause in recorded if cause.status == PENDING
    ]
    return tuple({"extra": {"interval": cause.interval.as_json()}} for cause in selected)


def _cause(event: Any) -> dict[str, Any]:
    return {
        "asset": event.asset.name,
        "source_dag_id": event.source_dag_id,
        "source_run_id": event.source_run_id,
        "timestamp": event.timestamp.isoformat(),
        "extra": dict(event.extra or {}),
    }


def _utc(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SpecError(
            f"parameter `until` is {text!r}; valid: a date or an ISO 8601 timestamp, e.g."
            " 2013-04-01."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
