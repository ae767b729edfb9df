"""Conditions in the SQL of Delta's own writer, with every name quoted."""

from __future__ import annotations

from datetime import datetime


def quoted(name: str) -> str:
    """A column's name as SQL has it, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def window_predicate(time_column: str, start: datetime, end: datetime) -> str:
    """`start <= time_column < end`."""
    return (
        f"{quoted(time_column)} >= '{start.isoformat()}' AND {before_predicate(time_column, end)}"
    )


def before_predicate(time_column: str, before: datetime) -> str:
    """`time_column < before`."""
    return f"{quoted(time_column)} < '{before.isoformat()}'"
