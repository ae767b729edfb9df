"""Files and Delta tables as lazy frames."""

from __future__ import annotations

import difflib
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from include.errors import DataError, TableNotFound
from include.settings import PROJECT_ROOT
from include.spec import CsvSource, DeltaSource, ParquetSource
from include.spec.base import suggestion
from include.tables.scan import scan_uri

PATTERN = "*?["
SHOWN = 20
"""So many names of a folder stand in a message."""
UNREADABLE = (PolarsError, OSError, UnicodeError)


def scan_parquet(source: ParquetSource) -> pl.LazyFrame:
    """All rows of the files."""
    return _together([pl.scan_parquet(path, glob=False) for path in _files(source.path, "parquet")])


def scan_csv(source: CsvSource) -> pl.LazyFrame:
    """All rows of the files, every value as text."""
    return _together(
        [
            pl.scan_csv(
                path,
                glob=False,
                separator=source.separator,
                null_values=list(source.null_values),
                infer_schema=False,
            )
            for path in _files(source.path, "csv")
        ]
    )


def scan_delta(source: DeltaSource) -> pl.LazyFrame:
    """All rows of the newest version."""
    if "://" in source.uri:
        return _scan_delta(source.uri)
    folder = PROJECT_ROOT / Path(source.uri).expanduser()
    if not folder.exists():
        raise _missing(folder)
    return _scan_delta(str(folder))


def _scan_delta(uri: str) -> pl.LazyFrame:
    try:
        return scan_uri(uri)
    except TableNotFound as error:
        raise DataError(
            f"{uri} is no Delta table: a folder with '_delta_log' below it. Declare ParquetSource"
            " for Parquet files."
        ) from error


def _together(frames: list[pl.LazyFrame]) -> pl.LazyFrame:
    # A column that only some files have is no error: older files lack what was added later.
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def _files(path: str, ending: str) -> list[str]:
    """The files that a source's path names, in their order; raises `DataError` for none."""
    if "://" in path:
        return [path]
    full = PROJECT_ROOT / Path(path).expanduser()
    if full.is_dir():
        files = sorted(file for file in full.rglob(f"*.{ending}") if file.is_file())
        if not files:
            raise DataError(
                f"The folder {full} holds no file that ends with '.{ending}'; there are"
                f" {_names(full)}. Name the folder of the files, or a pattern such as '*.txt'."
            )
        return [str(file) for file in files]
    if full.exists():
        return [str(full)]
    if any(sign in path for sign in PATTERN):
        return [str(file) for file in files_of_pattern(full)]
    raise _missing(full)


def files_of_pattern(full: Path) -> list[Path]:
    """The files that a pattern matches, in their order; raises `DataError` for none."""
    root = _folder_before_pattern(full)
    found = sorted(root.glob(str(full.relative_to(root)))) if root.is_dir() else []
    files = [file for file in found if file.is_file()]
    if not files:
        raise DataError(f"No file matches {full}; {root} holds {_names(root)}.")
    return files


def _folder_before_pattern(full: Path) -> Path:
    return next(
        folder for folder in full.parents if not any(sign in str(folder) for sign in PATTERN)
    )


def what_is_missing(full: Path) -> str:
    """A sentence on a path that is not there, with what was probably meant, by the last folder
    above that exists.
    """
    folder = next(parent for parent in full.parents if parent.is_dir())
    name = full.relative_to(folder).parts[0]
    there = _names(folder, most=None)
    near = difflib.get_close_matches(name, there, n=SHOWN)
    # Of a folder with many files those that are alike say more than the first by the alphabet.
    shown = there if len(there) <= SHOWN else [*near, *there][:SHOWN]
    more = f" and {len(there) - len(shown)} more" if len(there) > len(shown) else ""
    return f"There is no {full}: {folder} has no {name!r}{suggestion(name, shown)}{more}."


def _missing(full: Path) -> DataError:
    return DataError(
        f"{what_is_missing(full)} Correct the source's path in spec.py, or put the file there."
    )


def _names(folder: Path, most: int | None = SHOWN) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())[:most]
    except OSError:
        return []
