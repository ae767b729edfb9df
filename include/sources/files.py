"""Files and Delta tables as lazy frames."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from include.errors import DataError, TableNotFound
from include.settings import PROJECT_ROOT
from include.spec import CsvSource, DeltaSource, ParquetSource
from include.spec.base import suggestion
from include.tables.scan import scan_uri

PATTERN = "*?["
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
        root = _folder_before_pattern(full)
        files = sorted(root.glob(str(full.relative_to(root)))) if root.is_dir() else []
        if files:
            return [str(file) for file in files if file.is_file()]
        raise DataError(f"No file matches {full}; {root} holds {_names(root)}.")
    raise _missing(full)


def _folder_before_pattern(full: Path) -> Path:
    return next(
        folder for folder in full.parents if not any(sign in str(folder) for sign in PATTERN)
    )


def _missing(full: Path) -> DataError:
    """What is not there, with what was probably meant, by the last folder above that exists."""
    folder = next(parent for parent in full.parents if parent.is_dir())
    name = full.relative_to(folder).parts[0]
    return DataError(
        f"There is no {full}: {folder} has no {name!r}{suggestion(name, _names(folder))}. Correct"
        " the source's path in spec.py, or put the file there."
    )


def _names(folder: Path, most: int = 20) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())[:most]
    except OSError:
        return []
