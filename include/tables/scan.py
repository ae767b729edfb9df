"""Reading the files of a Delta table where they really lie."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from include.errors import TableNotFound
from include.tables.remote import reaching, storage_options

PLAIN = "file://"
PATTERNS = "*?["


def scan_uri(uri: str, version: int | None = None) -> pl.LazyFrame:
    """A lazy frame over the table at a URI (at `version`, or the newest); raises `TableNotFound`
    where there is none.
    """
    try:
        with reaching(uri):
            table = DeltaTable(uri, version=version, storage_options=storage_options(uri))
        return scan_table(table)
    except TableNotFoundError as error:
        which = "" if version is None else f" at version {version}"
        raise TableNotFound(f"There is no table at {uri}{which}.") from error


def scan_table(table: DeltaTable) -> pl.LazyFrame:
    """A lazy frame over the table's files, at the version at which it was opened.

    Delta names local files as in URLs ("%20" for a space), and Polars takes what it says for a
    path, and signs such as "?" in it for a pattern. So below such a folder the files are named
    here.
    """
    uri = table.table_uri
    if not uri.startswith(("/", PLAIN)):
        return pl.scan_delta(table)
    root = urlsplit(uri).path if uri.startswith(PLAIN) else uri
    if unquote(root) == root and not any(sign in root for sign in PATTERNS):
        return pl.scan_delta(table)
    schema = pl.Schema(table.schema())
    files = [unquote(path.removeprefix(PLAIN)) for path in table.file_uris()]
    if not files:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(
        files,
        glob=False,
        schema=schema,
        hive_partitioning=False,
        missing_columns="insert",
        extra_columns="ignore",
        cast_options=pl.ScanCastOptions(
            integer_cast="upcast",
            float_cast=("upcast", "downcast"),
            datetime_cast="nanosecond-downcast",
        ),
    )
