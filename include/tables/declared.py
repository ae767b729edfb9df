"""Source tables as the specification declares them, whatever version of it their rows are from."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from include.spec import Table
from include.tables.store import TableStore
from include.tables.types import TYPES


def read_declared(
    tables: TableStore,
    table: Table,
    columns: Sequence[str],
    *,
    where: pl.Expr | None = None,
    version: int | None = None,
) -> pl.DataFrame:
    """The rows for which `where` holds, with `columns`; one that was declared after the table was
    written last is null.
    """
    types = {column.name: TYPES[column.type] for column in table.columns}
    frame = tables.scan(table.name, version=version)
    there = frame.collect_schema().names()
    frame = frame.with_columns(
        pl.lit(None, dtype=types[name]).alias(name)
        for name in columns
        if name not in there and name in types
    )
    if where is not None:
        frame = frame.filter(where)
    return frame.select(columns).collect()
