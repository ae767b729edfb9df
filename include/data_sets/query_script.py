"""The query of a training set as a script that people read and DuckDB executes: the same rows, cell
for cell, without Flightdeck.

It names every Parquet file of the tables at the versions that were read, so it needs no Delta
reader and no network, and gives the same answer as long as those versions have not been vacuumed.
The joins are as-of joins: for every question, the newest row that was known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from include.data_sets.snapshot import as_data_set, table_of
from include.errors import DataError
from include.features.definitions import known_views
from include.features.views import COLUMN_TYPES, View
from include.interval import Interval
from include.settings import Settings
from include.spec import ColumnType, DataSet, Table, UseCase
from include.tables.store import TableStore

SQL_TYPES: dict[ColumnType, str] = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
}
SCRIPT_FILE = "training_set.sql"


def training_query(
    use_case: UseCase,
    settings: Settings,
    *,
    sources: Mapping[str, int],
    window: Interval,
    name: str,
    golden: tuple[str, int] | None,
) -> str:
    """DuckDB SQL whose last statement gives the rows of the data-set version `name`, by event time
    and id.

    `sources` are the tables at the versions that were read, `golden` is the table and version whose
    ids stay out.
    """
    tables, data = TableStore(settings.tables_uri), use_case.training_data
    views = known_views(as_data_set(use_case), settings)
    tables_of = {view.name: table_of(tables, view.table_uri) for view in views}
    read = {**sources, **({} if golden is None else {golden[0]: golden[1]})}
    steps = [
        _heading(tables, data, name, window, sources),
        *(_table(tables, table, version) for table, version in read.items()),
        _questions(use_case, tables, sources, window, None if golden is None else golden[0]),
        *(
            _known(
                view,
                tables_of[view.name],
                _columns(tables, tables_of[view.name], sources),
                window.end,
            )
            for view in views
        ),
        _training_set(data, views),
        f"FROM training_set ORDER BY {_name(data.event_time)}, {_name(data.id_column)};",
    ]
    return "\n\n".join(steps) + "\n"


def _heading(
    tables: TableStore, data: DataSet, name: str, window: Interval, sources: Mapping[str, int]
) -> str:
    about = [
        f"Data set {data.name}: {data.description}",
        (
            f"Version {name}: questions asked from {window.start} to {window.end}, as far as they"
            " were answered by then."
        ),
        (
            "Tables:"
            f" {', '.join(f'{table} at version {version}' for table, version in sources.items())}."
        ),
        (
            "Run it with DuckDB: duckdb < training_set.sql, or in Python duckdb.connect().sql(...)."
            " The files are named below the folder:"
        ),
    ]
    comment = "\n".join(f"-- {line}" for line in about)
    return f"{comment}\nSET file_search_path = {_text(tables.root)};\nSET TimeZone = 'UTC';"


def _table(tables: TableStore, table: str, version: int) -> str:
    opened = tables.open(table, version)
    if opened.metadata().partition_columns:
        raise DataError(
            f"{table} is partitioned: its Parquet files lack the partition columns, so no script"
            " over them can be written."
        )
    remote = "://" in tables.root
    files = sorted(
        f"{tables.uri(table)}/{path}" if remote else f"{table}/{path}"
        for path in _relative(opened.file_uris(), table)
    )
    listed = ",\n".join(f"  {_text(path)}" for path in files)
    return (
        f"-- {table} at version {version}\nCREATE VIEW {_name(table)} AS FROM"
        f" read_parquet([\n{listed}\n], union_by_name = true);"
    )


def _relative(uris: Sequence[str], table: str) -> Iterator[str]:
    for uri in uris:
        yield uri.rpartition(f"/{table}/")[2]


def _columns(tables: TableStore, table: str, sources: Mapping[str, int]) -> set[str]:
    """The columns that the table has at that version."""
    return set(tables.scan(table, version=sources[table]).collect_schema().names())


def _declared(
    tables: TableStore, table: Table, alias: str, names: Sequence[str], sources: Mapping[str, int]
) -> str:
    """Columns of a source table; one that was declared after that version is null."""
    types = {column.name: SQL_TYPES[column.type] for column in table.columns}
    there = _columns(tables, table.name, sources)
    return ", ".join(
        f"{alias}.{_name(name)}"
        if name in there
        else f"CAST(NULL AS {types[name]}) AS {_name(name)}"
        for name in names
    )


def _questions(
    use_case: UseCase,
    tables: TableStore,
    sources: Mapping[str, int],
    window: Interval,
    golden: str | None,
) -> str:
    data = use_case.training_data
    columns = _declared(
        tables, use_case.table(data.entity_table), "asked", data.question_columns, sources
    )
    labels = _declared(
        tables,
        use_case.table(data.label_table),
        "answered",
        (*data.label_columns, data.label_time),
        sources,
    )
    event, identifier = _name(data.event_time), _name(data.id_column)
    where = [f"asked.{event} >= {_moment(window.start)}", f"asked.{event} < {_moment(window.end)}"]
    where += [f"answered.{_name(data.label_time)} < {_moment(window.end)}"]
    where += [
        f"asked.{identifier} IN (FROM {_name(data.entity_table)} SELECT {identifier} WHERE {part})"
        for part in data.filters
    ]
    if golden is not None:
        where.append(f"asked.{identifier} NOT IN (FROM {_name(golden)} SELECT {identifier})")
    lines = [
        (
            "-- The questions whose answer was known when the window ended; the golden set's rows"
            " stay out."
        ),
        f"CREATE VIEW questions AS\nSELECT {columns}, {labels}",
        (
            f"FROM {_name(data.entity_table)} AS asked\nJOIN {_name(data.label_table)} AS answered"
            f" USING ({identifier})"
        ),
        "WHERE " + "\n  AND ".join(where),
    ]
    return "\n".join(lines) + ";"


def _feature(view: View, feature: str, there: set[str]) -> str:
    """A feature as retrieval reads it: a truth as a number, a float of 32 bits without further
    digits, one that was declared after that version null.
    """
    kind, name = view.types[feature], _name(feature)
    sql_type = SQL_TYPES[COLUMN_TYPES[kind]] if kind != "BOOL" else "DOUBLE"
    if feature not in there:
        return f"CAST(NULL AS {sql_type}) AS {name}"
    casts = {"BOOL": f"CAST({name} AS DOUBLE)", "FLOAT": f"CAST(CAST({name} AS FLOAT) AS DOUBLE)"}
    return f"{casts[kind]} AS {name}" if kind in casts else name


def _known(view: View, table: str, there: set[str], end: datetime) -> str:
    created = view.created if view.created in there else ""
    keys = ", ".join(_name(key) for key in view.join_keys)
    columns = ", ".join(
        [keys, _name(view.timestamp), *(_feature(view, name, there) for name in view.features)]
    )
    where = [f"{_name(key)} IS NOT NULL" for key in view.join_keys]
    if created:
        where.append(f"{_name(created)} <= {_moment(end)}")
    lines = [
        (
            f"-- {view.name}: what had been computed when the window ended; of several rows of one"
            " moment, the newest."
        ),
        f"CREATE VIEW {_name(f'known_{view.name}')} AS\nSELECT {columns}\nFROM {_name(table)}",
        "WHERE " + "\n  AND ".join(where),
    ]
    if created:
        lines.append(
            f"QUALIFY row_number() OVER (PARTITION BY {keys}, {_name(view.timestamp)} ORDER BY"
            f" {_name(created)} DESC) = 1"
        )
    return "\n".join(lines) + ";"


def _training_set(data: DataSet, views: Sequence[View]) -> str:
    values = {
        view.column(feature): _value(data, view, feature)
        for view in views
        for feature in view.features
    }
    columns = [
        f"{values[name]} AS {_name(name)}" if name in values else f"q.{_name(name)}"
        for name in data.all_columns
    ]
    lines = [
        (
            "-- For every question the newest known row; a value older than its view's time to live"
            " counts as missing."
        ),
        "CREATE VIEW training_set AS\nSELECT\n" + ",\n".join(f"  {column}" for column in columns),
        "FROM questions AS q\n" + "\n".join(_join(data, view) for view in views),
    ]
    return "\n".join(lines) + ";"


def _join(data: DataSet, view: View) -> str:
    keys = " AND ".join(
        f"q.{_name(key)} = {_name(view.name)}.{_name(key)}" for key in view.join_keys
    )
    moment = f"q.{_name(data.event_time)} >= {_name(view.name)}.{_name(view.timestamp)}"
    return (
        f"ASOF LEFT JOIN {_name(f'known_{view.name}')} AS {_name(view.name)} ON {keys} AND {moment}"
    )


def _value(data: DataSet, view: View, feature: str) -> str:
    value = f"{_name(view.name)}.{_name(feature)}"
    if view.ttl is None:
        return value
    oldest = f"q.{_name(data.event_time)} - INTERVAL '{_duration(view.ttl)}'"
    return f"CASE WHEN {_name(view.name)}.{_name(view.timestamp)} >= {oldest} THEN {value} END"


def execute(script: str) -> pl.DataFrame:
    """The script's rows from a DuckDB of its own.

    Raises `DataError` when a file is gone or the script was damaged.
    """
    import duckdb

    with duckdb.connect() as connection:
        try:
            return pl.DataFrame(connection.sql(script).to_arrow_table())
        except duckdb.Error as error:
            raise DataError(f"The script of the training set does not run: {error}") from error


def _duration(value: timedelta) -> str:
    """In hours where that is exact: `72 hours`."""
    hours, rest = divmod(value, timedelta(hours=1))
    return f"{hours} hours" if not rest else f"{value // timedelta(microseconds=1)} microseconds"


def _moment(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.isoformat(sep=' ')}'"


def _name(value: str) -> str:
    plain = value.replace("_", "a").isalnum() and value.isascii() and not value[0].isdigit()
    return value if plain and value.islower() else '"' + value.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
