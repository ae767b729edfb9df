"""A table of readings and its rows around two days, for the tests of sources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import ModuleType

import polars as pl

from include.interval import Interval
from include.sources.read import read_table
from include.spec import Column, Source, Table
from tests.unit.model.synthetic import USE_CASE

START, END = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, tzinfo=UTC)
DAY = Interval(START, END)
MICROSECOND = timedelta(microseconds=1)
MOMENTS = {
    "before": START - MICROSECOND,
    "first": START,
    "noon": START + timedelta(hours=12),
    "last": END - MICROSECOND,
    "after": END,
}
INSIDE = ["first", "noon", "last"]
"""Which of them lie in `[START, END)`."""

COLUMNS = (
    Column(name="name", type="string"),
    Column(name="at", type="timestamp"),
    Column(name="level", type="number"),
    Column(name="count", type="integer"),
    Column(name="open", type="boolean"),
)


def rows() -> pl.DataFrame:
    """A row for each of the moments, in their declared types."""
    size = len(MOMENTS)
    return pl.DataFrame(
        {
            "name": list(MOMENTS),
            "at": pl.Series(list(MOMENTS.values()), dtype=pl.Datetime("us", "UTC")),
            "level": [0.5 + number for number in range(size)],
            "count": list(range(size)),
            "open": [number % 2 == 0 for number in range(size)],
        }
    )


def table(source: Source, *, static: bool = False) -> Table:
    return Table(
        name="raw/readings",
        key=("name",),
        columns=COLUMNS,
        time_column=None if static else "at",
        source=source,
    )


def read(
    source: Source,
    *,
    static: bool = False,
    share: float = 1.0,
    data: ModuleType | None = None,
    interval: Interval = DAY,
    id_column: str = "parcel_id",
) -> pl.DataFrame:
    """What is read of the table; `id_column` is the data set's."""
    data_set = USE_CASE.data_set.model_copy(update={"id_column": id_column})
    use_case = USE_CASE.model_copy(update={"data_set": data_set})
    return read_table(
        use_case, table(source, static=static), interval, share, data or ModuleType("data")
    )
