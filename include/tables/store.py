"""Delta Lake tables under one root: versioned, transactional, on a folder or on object storage.

Every write is idempotent: the same rows for the same window again leave the same table at the same
version. Every write is durable when it returns: what it replaces may be removed then.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from include.errors import DataError, TableNotFound
from include.object_storage import ObjectStore
from include.tables.durable import local_path, make_durable
from include.tables.evolution import Evolution, with_stored_types
from include.tables.fence import Fence, committing, properties
from include.tables.predicates import before_predicate, window_predicate
from include.tables.remote import reaching, storage_options
from include.tables.scan import scan_table
from include.tables.types import TYPES, as_stored

if TYPE_CHECKING:
    import pyarrow as pa

TIMESTAMP = TYPES["timestamp"]

Window = tuple[str, datetime, datetime]
"""Time column, start and end."""
UNREADABLE = (DeltaError, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
"""What reading a table whose files were damaged or are gone may end with."""

MADE_ALREADY = "table already exists"
"""In the error of a first version that was there before."""
LOG_FOLDER = "_delta_log"

WriteFailed = DeltaError
"""Delta's writer has failed, by itself or because the rows that it asked for could not be had."""


@dataclass(frozen=True)
class TableVersion:
    """One version of one table.

    `rows` counts the rows of the window that was written (or of the whole table).
    """

    name: str
    uri: str
    version: int
    rows: int

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {"name": self.name, "uri": self.uri, "version": self.version, "rows": self.rows}


class TableStore:
    """All tables below one root folder or URI. Names are slash-separated, e.g. `raw/flights`."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self.options = storage_options(self.root)

    def uri(self, name: str) -> str:
        """Where the table of that name lies."""
        return f"{self.root}/{name}"

    def exists(self, name: str) -> bool:
        """Whether the table has been written at least once."""
        with reaching(self.uri(name)):
            return bool(DeltaTable.is_deltatable(self.uri(name), self.options))

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """The Delta table itself; raises `TableNotFound` with the table's URI."""
        try:
            with reaching(self.uri(name)):
                return DeltaTable(self.uri(name), version=version, storage_options=self.options)
        except TableNotFoundError as error:
            which = "" if version is None else f" at version {version}"
            raise TableNotFound(
                f"There is no table {name!r}{which} at {self.uri(name)}. Run the process that"
                " writes it first."
            ) from error

    def version(self, name: str) -> int:
        """The newest version's number."""
        return int(self.open(name).version())

    def identity(self, name: str) -> str:
        """What tells the table from another one that had its name before."""
        return str(self.open(name).metadata().id)

    def scan(self, name: str, *, version: int | None = None) -> pl.LazyFrame:
        """A lazy frame over the table (at `version`, or the newest)."""
        return scan_table(self.open(name, version))

    def read(
        self,
        name: str,
        *,
        version: int | None = None,
        columns: list[str] | None = None,
        where: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """The rows for which `where` holds, with `columns` only if given.

        Raises `DataError` naming the columns that the table does not hold.
        """
        frame = self.scan(name, version=version)
        if columns is not None:
            there = frame.collect_schema().names()
            missing = [column for column in columns if column not in there]
            if missing:
                raise DataError(
                    f"The table {name!r} holds no column {missing}, but {there}. Run the process"
                    " that writes it: a column that was declared later comes with its next rows."
                )
        if where is not None:
            frame = frame.filter(where)
        if columns is not None:
            frame = frame.select(columns)
        with reaching(self.root):
            return frame.collect()

    def replace_window(
        self,
        name: str,
        frame: pl.DataFrame,
        *,
        time_column: str,
        start: datetime,
        end: datetime,
        fence: Fence | None = None,
    ) -> TableVersion:
        """Make the rows with `start <= time_column < end` exactly those of `frame`.

        Raises `DataError` when `frame` holds a row outside the window, `LateStep` when the table
        holds newer rows than those of the fence. Writes no new version when nothing changes.
        """
        outside = frame.filter(~in_window(time_column, start, end) | pl.col(time_column).is_null())
        if outside.height:
            example = outside.row(0, named=True)
            raise DataError(
                f"{name}: {outside.height} rows lie outside [{start}, {end}) by {time_column}; the"
                f" first: {example}"
            )
        return self._replace(name, frame, fence, (time_column, start, end))

    def replace_all(
        self, name: str, frame: pl.DataFrame, *, fence: Fence | None = None
    ) -> TableVersion:
        """Make the table's rows exactly those of `frame` (the schema may change).

        No new version when nothing changes. Raises `LateStep` as `replace_window`.
        """
        return self._replace(name, frame, fence)

    def replace_unread(self, name: str, frame: pl.DataFrame) -> TableVersion:
        """`replace_all` for a table that only repeated writes of the same fill: what an earlier one
        left need not be readable, and is removed where it is not.
        """
        try:
            return self.replace_all(name, frame)
        except CommitFailedError:
            raise
        except UNREADABLE:
            self.remove(name)
            return self.replace_all(name, frame)

    def below(self, folder: str) -> list[str]:
        """The names of the folders right below one that holds tables; none where it is missing."""
        path = local_path(self.uri(folder))
        if path is None:
            files = ObjectStore(self.uri(folder)).tags()
            names = {file.partition("/")[0] for file in files if "/" in file}
        else:
            names = {part.name for part in path.iterdir()} if path.is_dir() else set()
        return [f"{folder}/{name}" for name in sorted(names)]

    def remove(self, name: str) -> None:
        """Remove a table, or all tables below a folder, with everything that they ever held."""
        folder = local_path(self.uri(name))
        if folder is not None:
            shutil.rmtree(folder)
            return
        objects = ObjectStore(self.uri(name))
        # The logs last: until its log is gone, whoever reads a table meets damage, not half of it.
        objects.delete(sorted(objects.tags(), key=lambda file: LOG_FOLDER in file))

    def _replace(
        self, name: str, frame: pl.DataFrame, fence: Fence | None, window: Window | None = None
    ) -> TableVersion:
        """Replace the rows of the window, or all; of two writers at once the second finds the same
        rows there and writes nothing.
        """
        rows = as_stored(name, frame)

        def attempt() -> TableVersion:
            if not self.exists(name):
                return self._create(name, rows, fence)
            table = self.open(name)
            if fence is not None:
                fence.check(table, name)
            with reaching(self.root):
                change = _change(name, scan_table(table), rows, window)
            if change is None:
                return self._written(name, rows.height)
            changed, how = change
            # Against the version that was read: a commit in between makes this one fail.
            with reaching(self.root):
                write_deltalake(
                    table,
                    changed.to_arrow(),
                    mode="overwrite",
                    commit_properties=properties(fence),
                    **how,
                )
            return self._written(name, rows.height, table.version())

        return committing(self.uri(name), attempt)

    def _create(self, name: str, frame: pl.DataFrame, fence: Fence | None) -> TableVersion:
        self.write_first(name, frame.to_arrow(), properties(fence, max_commit_retries=0))
        return self._written(name, frame.height)

    def write_first(
        self, name: str, rows: pa.Table | pa.RecordBatchReader, properties: CommitProperties
    ) -> None:
        """Write the first version of a table; raises `CommitFailedError` where another writer has
        just made it.

        `properties` must allow no repeated commit (`max_commit_retries=0`): Delta's library would
        put the rows behind those of the writer that was first, as if they had been appended. A
        commit that is made once is made by whoever gets its name first, on any host.
        """
        try:
            with reaching(self.uri(name)):
                write_deltalake(
                    self.uri(name),
                    rows,
                    mode="error",
                    storage_options=self.options,
                    commit_properties=properties,
                )
        except DeltaError as error:
            if MADE_ALREADY not in str(error):
                raise
            raise CommitFailedError(f"{name} has just been made by another writer") from error

    def append_once(
        self, name: str, frame: pl.DataFrame, *, consumer: str, offset: int
    ) -> TableVersion | None:
        """Append `frame` and record `offset` for `consumer` in the same commit; `None` if that
        offset is already recorded.

        Offsets of one consumer must grow. This is what makes a shipper exactly-once over crashes.
        Columns that the table lacks are added, null in older rows.
        """

        def attempt() -> TableVersion | None:
            if offset <= self.offset(name, consumer):
                return None
            mark = Transaction(app_id=consumer, version=offset)
            rows = as_stored(name, frame).to_arrow()
            if not self.exists(name):
                first = CommitProperties(app_transactions=[mark], max_commit_retries=0)
                self.write_first(name, rows, first)
                return self._written(name, frame.height)
            table = self.open(name)
            with reaching(self.root):
                write_deltalake(
                    table,
                    rows,
                    mode="append",
                    schema_mode="merge",
                    commit_properties=CommitProperties(app_transactions=[mark]),
                )
            return self._written(name, frame.height)

        return committing(self.uri(name), attempt)

    def delete_before(self, name: str, time_column: str, before: datetime) -> int:
        """Delete the rows with `time_column < before`; how many.

        Their bytes stay in older versions until `vacuum`.
        """
        if self.read(name, columns=[time_column], where=pl.col(time_column) < before).height == 0:
            return 0
        table = self.open(name)
        with reaching(self.root):
            return int(table.delete(before_predicate(time_column, before))["num_deleted_rows"])

    def vacuum(self, name: str, *, hours: int) -> int:
        """Remove files that no version has used for `hours`; how many. Versions that need them can
        no longer be read.

        Nobody may be writing the table meanwhile.
        """
        table = self.open(name)
        with reaching(self.root):
            return len(table.vacuum(hours, dry_run=False, enforce_retention_duration=False))

    def offset(self, name: str, consumer: str) -> int:
        """The last offset that `append_once` recorded for `consumer`; -1 when there is none."""
        if not self.exists(name):
            return -1
        recorded = self.open(name).transaction_version(consumer)
        return -1 if recorded is None else recorded

    def make_durable(self, name: str) -> None:
        """Make what the table holds survive a power cut, whoever has written it; raises `OSError`.
        To be called before anything is removed that the table replaces.
        """
        if self.exists(name):
            make_durable(self.uri(name), self.version(name))

    def _written(self, name: str, rows: int, version: int | None = None) -> TableVersion:
        version = self.version(name) if version is None else version
        make_durable(self.uri(name), version)
        return TableVersion(name, self.uri(name), version, rows)


def _change(
    name: str, stored: pl.LazyFrame, rows: pl.DataFrame, window: Window | None
) -> tuple[pl.DataFrame, dict[str, Any]] | None:
    """What is to be written, and how, so that the window (or the whole table) holds these rows;
    None where it does.
    """
    if window is None:
        if same_rows(stored.collect(), rows):
            return None
        return rows, {"schema_mode": "overwrite"}
    schema, inside = dict(stored.collect_schema()), in_window(*window)
    rows = with_stored_types(schema, rows)
    evolution = Evolution.between(name, schema, rows)
    rows = evolution.completed(rows)
    if evolution.retyped:
        others = evolution.retype(name, stored.collect()).filter(~inside)
        return pl.concat([others, rows], how="diagonal"), {"schema_mode": "overwrite"}
    if same_rows(stored.filter(inside).collect(), rows):
        return None
    merging = {"schema_mode": "merge"} if evolution.added else {}
    return rows, {"predicate": window_predicate(*window), **merging}


def in_window(time_column: str, start: datetime, end: datetime) -> pl.Expr:
    """`start <= time_column < end` as a Polars expression."""
    return (pl.col(time_column) >= start) & (pl.col(time_column) < end)


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 over column names, types and values; neither the order of rows nor that of columns
    matters.

    Digested is the CSV of the sorted rows (shortest exact decimals, nulls as `\\N`), so another
    tool can compute it again.
    """
    ordered = as_stored("digest", frame).select(sorted(frame.columns))
    schema = ";".join(f"{name}:{dtype}" for name, dtype in ordered.schema.items())
    rows = BytesIO()
    ordered.sort(ordered.columns, nulls_last=True).write_csv(
        rows, null_value="\\N", quote_style="non_numeric"
    )
    digest = hashlib.sha256(f"{schema}\n".encode())
    digest.update(rows.getbuffer())
    return digest.hexdigest()


def same_rows(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Whether two frames hold the same rows with the same columns and types, in any order."""
    if left.height != right.height or dict(left.schema) != dict(right.schema):
        return False
    columns = sorted(left.columns)
    return (
        left.select(columns)
        .sort(columns, nulls_last=True)
        .equals(right.select(columns).sort(columns, nulls_last=True))
    )
