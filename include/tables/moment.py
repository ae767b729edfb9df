"""The tables of a folder at one moment, for whoever copies them while others write.

Files of Delta never change, and a commit is there only after the rows that it names. So the
versions of one moment are written down, and everything up to them can be copied afterwards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from deltalake import DeltaTable

from include.errors import DataError
from include.tables.durable import local_path

LOG_FOLDER = "_delta_log"
LAST_CHECKPOINT = "_last_checkpoint"
ATTEMPTS, PAUSE_SECONDS = 50, 0.1


def versions_of_one_moment(root: Path) -> dict[Path, int]:
    """The folder of every table below `root`, with its newest version.

    Raises `DataError` where tables are written without a pause in which nothing changes.
    """
    former = _newest(root)
    for _ in range(ATTEMPTS):
        newest = _newest(root)
        # Nothing was written from the end of one look to the beginning of the next.
        if newest == former:
            return newest
        former = newest
        time.sleep(PAUSE_SECONDS)
    raise DataError(
        f"The tables below {root} were written during each of {ATTEMPTS} looks. Try again when"
        " fewer processes write."
    )


def files_up_to(folder: Path, version: int) -> Iterator[Path]:
    """The files that a copy of the table at that version needs, and those of former versions:
    commits first, then every data file that there is.
    """
    yield from _commits(folder / LOG_FOLDER, version)
    for path in sorted(folder.rglob("*")):
        if LOG_FOLDER not in path.relative_to(folder).parts and path.is_file():
            yield path


def data_files(folder: Path, version: int) -> list[Path]:
    """The files with the rows that the table has at that version."""
    uris = DeltaTable(str(folder), version=version).file_uris()
    return [path for uri in uris if (path := local_path(uri)) is not None]


def _newest(root: Path) -> dict[Path, int]:
    logs = sorted(path for path in root.rglob(LOG_FOLDER) if path.is_dir())
    numbers = {
        log.parent: max((_number(path) for path in log.iterdir()), default=-1) for log in logs
    }
    return {folder: number for folder, number in numbers.items() if number >= 0}


def _commits(log: Path, version: int) -> Iterator[Path]:
    for path in sorted(log.iterdir()):
        if path.name == LAST_CHECKPOINT:
            if json.loads(path.read_bytes())["version"] <= version:
                yield path
        elif path.is_file() and 0 <= _number(path) <= version:
            yield path


def _number(path: Path) -> int:
    """The version that a file of the log belongs to; -1 of any other file."""
    number = path.name.partition(".")[0]
    return int(number) if number.isdecimal() else -1
