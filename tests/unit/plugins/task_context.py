"""Airflow's task context as the operators see it, without an Airflow that runs."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

DUE = datetime(2013, 4, 2, 5, tzinfo=UTC)


class TaskInstance:
    """A running task that reads and leaves results."""

    try_number = 2
    task_id = "train_model"

    def __init__(self, results: dict[str, Any]) -> None:
        self.pushed: dict[str, Any] = {}
        self._results = results

    def xcom_pull(self, task_ids: str) -> Any:
        """The result of another task."""
        return self._results.get(task_ids)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what the task leaves."""
        self.pushed[key] = value


def event(**extra: Any) -> SimpleNamespace:
    """An asset event that started a run, carrying `extra`."""
    return SimpleNamespace(
        asset=SimpleNamespace(name="flight_delays/alarm"),
        source_dag_id="flight_delays__monitoring",
        source_run_id="monitoring_1",
        timestamp=DUE,
        extra=extra,
    )


def task_context(
    *,
    run_type: str = "scheduled",
    window: tuple[datetime, datetime] | None = None,
    events: tuple[SimpleNamespace, ...] = (),
    params: dict[str, Any] | None = None,
    results: dict[str, Any] | None = None,
    **more: Any,
) -> Any:
    """The context of a task of a run of `run_type`, whose data interval is `window`.

    `results` are the results of other tasks by id; what the task pushes lands in `ti.pushed`.
    """
    start, end = window or (None, None)
    run = SimpleNamespace(
        run_id="run_1",
        run_type=SimpleNamespace(value=run_type),
        consumed_asset_events=list(events),
        data_interval_start=start,
        data_interval_end=end,
        run_after=DUE,
        triggering_user_name=None,
    )
    return {
        "dag_run": run,
        "params": params or {},
        "ti": TaskInstance(results or {}),
        "dag": SimpleNamespace(dag_id="flight_delays__training"),
        **more,
    }
