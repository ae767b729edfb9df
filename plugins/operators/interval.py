"""Waiting until another process has finished the interval that a run needs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseSensorOperator, Context

from include.errors import SpecError
from include.tables.completed import is_complete
from include.tables.store import TableStore
from plugins.refusal import refused_request
from plugins.run_context import step_context


class IntervalCompleteSensor(BaseSensorOperator):
    """Waits, without holding a worker slot, until `awaited` has completed this run's interval.

    :param awaited: the process to wait for, e.g. `features`.
    """

    def __init__(self, *, use_case: str, process: str, awaited: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", **kwargs)
        self.use_case = use_case
        self.process = process
        self.awaited = awaited

    def poke(self, context: Context) -> bool:
        """Whether the intervals that `awaited` recorded cover this run's interval."""
        try:
            step = step_context(context, self.use_case, self.process)
        except SpecError as error:
            raise refused_request(self, context, error) from None
        tables = TableStore(step.settings.tables_uri)
        complete = is_complete(tables, self.use_case, self.awaited, step.interval)
        if not complete:
            self.log.info("%s has not completed %s yet", self.awaited, step.interval.label)
        return complete
