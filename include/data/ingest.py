"""Source rows into Delta tables: first to `landing/`, and from there, once validated, to the tables of the specification."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import polars as pl

from include.data.tables import TableStore, TableVersion, in_window
from include.errors import SpecError
from include.spec import Table, UseCase
from include.steps import Interval


def landing_name(table: str) -> str:
    """Where a table's rows land before they are validated: `raw/flights` -> `landing/flights`."""
    return f"landing/{table.removeprefix('raw/')}"


def use_case_data(use_case: UseCase) -> Any:
    """The module `include/use_cases/<name>/data.py`; `SpecError` says what it must define."""
    try:
        module = import_module(f"include.use_cases.{use_case.name}.data")
    except ModuleNotFoundError as error:
        raise SpecError(f"use case {use_case.name!r}: {error}; include/use_cases/{use_case.name}/data.py must exist.") from error
    lacking = [name for name in ("read_source", "compute_features") if not callable(getattr(module, name, None))]
    if lacking:
        raise SpecError(f"include/use_cases/{use_case.name}/data.py must define the functions {lacking}.")
    return module


def land(tables: TableStore, use_case: UseCase, interval: Interval, share: float) -> dict[str, TableVersion]:
    """Read the source's rows of the interval and make them the landing tables' rows of that window.

    Every declared table is landed, even when the source has no row: an empty batch is for validation to refuse.
    """
    frames = use_case_data(use_case).read_source(interval, share)
    lacking = [table.name for table in use_case.tables if table.name not in frames]
    if lacking:
        raise SpecError(f"read_source of {use_case.name} returns {sorted(frames)}; the specification also declares {lacking}.")
    return {table.name: write_rows(tables, landing_name(table.name), table, frames[table.name], interval) for table in use_case.tables}


def read_landed(tables: TableStore, table: Table, interval: Interval, version: int | None) -> pl.DataFrame:
    """The landed rows of the window (a static table whole), at the given version of the landing table or the newest."""
    where = None if table.time_column is None else in_window(table.time_column, interval.start, interval.end)
    return tables.read(landing_name(table.name), version=version, where=where)


def write_rows(tables: TableStore, name: str, table: Table, frame: pl.DataFrame, interval: Interval) -> TableVersion:
    """Replace the window of the table called `name` (a static table whole) by `frame`."""
    if table.time_column is None:
        return tables.replace_all(name, frame)
    return tables.replace_window(name, frame, time_column=table.time_column, start=interval.start, end=interval.end)
