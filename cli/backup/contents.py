"""What of a home a backup holds: all but what belongs to the running processes or can be made anew.

A folder or file that nothing here names is saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from include.inference_log.spool import spool_path
from include.settings import Settings
from include.tables.durable import local_path

LEFT_OUT = (
    "run",
    "log",
    "locks",
    "cache",
    "work",
    # PostgreSQL's own files are saved as a dump, which another machine can read.
    "airflow/postgresql",
    "airflow/.postgresql.new",
    "airflow/airflow.cfg",
    "serving/metrics",
)
"""Paths below the home; everything under them is left out too."""
FOLLOWERS = re.compile(r"serving/[^/]+/followers(/|$)")
TRANSIENT = re.compile(r"(\.lock|\.migrated|-wal|-shm|-journal)$|^\..+\.\d+\.[0-9a-f]{8}$")
"""Locks, what SQLite keeps beside a file, and what a killed writer left aside."""
SQLITE = b"SQLite format 3\x00"


def saved_files(settings: Settings) -> Iterator[Path]:
    """Every file of the home that is saved, but for tables and the inference log's spool and
    journal, which have an order of their own.
    """
    elsewhere = [spool_path(settings).parent]
    if (tables := tables_folder(settings)) is not None:
        elsewhere.append(tables)
    for path in _walk(settings.home, settings.home):
        if not any(path.is_relative_to(folder) for folder in elsewhere):
            yield path


def spooled_files(settings: Settings) -> Iterator[Path]:
    """The files of spool and journal: the spool first, which says how far the journal is
    shipped.
    """
    spool = spool_path(settings)
    if spool.exists():
        yield spool
    for path in _walk(spool.parent, settings.home):
        if path != spool:
            yield path


def tables_folder(settings: Settings) -> Path | None:
    """The folder of the tables; None where they lie in an object store or outside of the home."""
    folder = local_path(settings.tables_uri)
    return folder if folder and folder.is_relative_to(settings.home) else None


def is_sqlite(path: Path) -> bool:
    """Whether the file is a SQLite database, which is copied by SQLite itself."""
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _walk(folder: Path, home: Path) -> Iterator[Path]:
    if not folder.exists():
        return
    for path in sorted(folder.iterdir()):
        if _is_left_out(path, home) or path.is_symlink():
            continue
        if path.is_dir():
            yield from _walk(path, home)
        elif path.is_file():
            yield path


def is_transient(path: Path) -> bool:
    """Whether a file's name says that it means nothing without the process that made it."""
    return TRANSIENT.search(path.name) is not None


def _is_left_out(path: Path, home: Path) -> bool:
    inside = path.relative_to(home).as_posix()
    return inside in LEFT_OUT or FOLLOWERS.match(inside) is not None or is_transient(path)
