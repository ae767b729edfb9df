"""How long the tables of the inference log keep a row: what is older than the use case's `log_days`
is deleted, then its bytes.

Deleted rows leave the table at once. Their bytes stay in files of older versions of the table for
`VACUUM_HOURS`, so that whoever reads at that moment is not cut off, and go with the next run after
that. The spool forgets by itself (`include.inference_log.spool`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from include.inference_log.log import feedback_table, log_table, one_shipper
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

VACUUM_HOURS = 24


def expire(
    settings: Settings, use_case: UseCase, until: datetime, *, vacuum_hours: int = VACUUM_HOURS
) -> dict[str, Any]:
    """Delete what is older than `log_days` before `until`: answers by `answered_at`, feedback by
    `received_at`. Safe to repeat.

    Returns `{"before": the cut or null when everything is kept, "deleted": {table: rows}, "files":
    {table: files removed}}`.
    """
    days = use_case.serving.log_days
    result: dict[str, Any] = {"before": None, "deleted": {}, "files": {}}
    if days is None:
        return result
    before = until - timedelta(days=days)
    result["before"] = before.isoformat()
    tables = TableStore(settings.tables_uri)
    for name, column in (
        (log_table(use_case.name), "answered_at"),
        (feedback_table(use_case.name), "received_at"),
    ):
        if tables.exists(name):
            # A file that a shipper has written and not yet committed looks like rubbish to a
            # vacuum.
            with one_shipper(settings, use_case.name):
                result["deleted"][name] = tables.delete_before(name, column, before)
                result["files"][name] = tables.vacuum(name, hours=vacuum_hours)
    return result
