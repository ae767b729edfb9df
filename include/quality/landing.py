"""Source rows into Delta tables: first to `landing/`, and from there, once validated, to the tables
of the specification.
"""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl

from include.catalogue import load_data_module
from include.errors import DataError, SpecError
from include.interval import Interval
from include.quality.delivered_file import Limits, require_readable
from include.settings import Settings
from include.sources.frames import to_polars
from include.sources.read import read_table
from include.spec import Table, UseCase, exchanged_columns
from include.tables.casting import Declared, cast_frame
from include.tables.erased import ErasedKeys
from include.tables.fence import Fence
from include.tables.landable import landable
from include.tables.store import TableStore, TableVersion

logger = logging.getLogger("flightdeck.privacy")


def landing_name(table: str, interval: Interval) -> str:
    """Where a table's rows land before they are validated: `raw/flights` ->
    `landing/flights/<interval>`.

    A table per interval: a delivery whose columns were renamed or retyped must land too, for
    validation to refuse it.
    """
    return f"landing/{table.removeprefix('raw/')}/{interval.label}"


def land(
    tables: TableStore, use_case: UseCase, interval: Interval, settings: Settings
) -> dict[str, TableVersion]:
    """Read the source's rows of the interval and make them the rows of the landing tables.

    Every table that the use case writes itself is landed in its declared types, even when the
    source has no row, or has values that are of another type: both are for validation to refuse,
    which gets a column that cannot have its type as it came. Rows of those who were erased are left
    out, and counted in the task's log.
    """
    frames = (
        read_delivery(use_case, settings.delivery_dir, interval, Limits.of(settings))
        if settings.delivery_dir
        else None
    )
    if frames is None:
        frames = _read_sources(use_case, interval, settings)
    rows = {
        table.name: landable(
            cast_frame(frames[table.name], declared_columns(use_case, table)).frame
        )
        for table in use_case.own_tables
    }
    # Only an interval's own rows ever lie in a landing table: what cannot be read of them stops no
    # correction.
    return {
        name: tables.replace_unread(landing_name(name, interval), frame)
        for name, frame in _without_erased(use_case, settings, rows, interval).items()
    }


def _without_erased(
    use_case: UseCase, settings: Settings, frames: dict[str, pl.DataFrame], interval: Interval
) -> dict[str, pl.DataFrame]:
    """The rows of nobody who was erased; the ids of those that are left out go on the list too, for
    a label names its question alone, and may come later.
    """
    erased, identifier = ErasedKeys(settings, use_case.name), use_case.id_column
    if not erased.columns:
        return frames
    for frame in frames.values():
        if identifier in frame.columns:
            ids = frame.filter(erased.matching(frame))[identifier]
            erased.add(identifier, ids.unique().to_list(), interval.end)
    remaining = {name: erased.without(frame) for name, frame in frames.items()}
    for name, frame in frames.items():
        if dropped := frame.height - remaining[name].height:
            logger.warning(
                "%s %s: %d rows of %s are of somebody who was erased, and were not landed",
                use_case.name,
                interval.label,
                dropped,
                name,
            )
    return remaining


def _read_sources(
    use_case: UseCase, interval: Interval, settings: Settings
) -> dict[str, pl.DataFrame]:
    """By table, what the source gives that holds in this environment, and `read_source` of those
    without one.
    """
    data, share = load_data_module(use_case), settings.sample_share
    tables = [table.in_environment(settings.environment) for table in use_case.own_tables]
    frames = {
        table.name: read_table(use_case, table, interval, share, data)
        for table in tables
        if table.source is not None
    }
    others = [table.name for table in tables if table.source is None]
    if not others:
        return frames
    returned = data.read_source(interval, share)
    lacking = [name for name in others if name not in returned]
    if lacking:
        raise SpecError(
            f"read_source of {use_case.name} returns {sorted(returned)}; the specification also"
            f" declares {lacking}, each without a source of its own."
        )
    where = f"read_source of {use_case.name}"
    return frames | {name: to_polars(returned[name], f"{where}, {name!r},") for name in others}


def declared_columns(use_case: UseCase, table: Table) -> list[Declared]:
    """What every column of a delivered table must be cast to."""
    exchanged = exchanged_columns(use_case, table.name)
    return [
        Declared(column.name, column.type, exchanged=column.name in exchanged)
        for column in table.columns
    ]


def read_delivery(
    use_case: UseCase, folder: Path, interval: Interval, limits: Limits | None = None
) -> dict[str, pl.DataFrame] | None:
    """The interval's files that somebody delivered, or `None` when nothing was delivered for it.

    A delivery is the folder `<folder>/<use case>/<interval label>/` with one Parquet file per table
    (`flights.parquet` for `raw/flights`). It stands for the use case's own source. Raises
    `DataError` when a declared table has no file, or a file is a link or larger than the limits.
    """
    delivered = folder / use_case.name / interval.label
    if not delivered.is_dir():
        return None
    files = {
        table.name: delivered / f"{table.name.removeprefix('raw/')}.parquet"
        for table in use_case.own_tables
    }
    missing = [str(file) for file in files.values() if not file.exists()]
    if missing:
        raise DataError(
            f"The delivery {delivered} is incomplete: {missing} are missing; deliver a file for"
            " every declared table."
        )
    for file in files.values():
        require_readable(file, folder, limits)
    return {name: _read_file(file) for name, file in files.items()}


def _read_file(file: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(file, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            f"{file} cannot be read as Parquet: {error}. Nothing of this delivery was landed;"
            " deliver the file again, and start the interval again."
        ) from error


def read_landed(
    tables: TableStore, table: Table, interval: Interval, version: int | None
) -> pl.DataFrame:
    """The landed rows of the interval, at the given version of the landing table or the newest."""
    return tables.read(landing_name(table.name, interval), version=version)


def write_rows(
    tables: TableStore,
    name: str,
    table: Table,
    frame: pl.DataFrame,
    interval: Interval,
    fence: Fence | None = None,
) -> TableVersion:
    """Replace the window of the table called `name` (a static table whole) by `frame`.

    Raises `LateStep` when it holds newer rows than those of the fence.
    """
    if table.time_column is None:
        return tables.replace_all(name, frame, fence=fence)
    return tables.replace_window(
        name,
        frame,
        time_column=table.time_column,
        start=interval.start,
        end=interval.end,
        fence=fence,
    )
