"""Frames of other libraries as one of Polars: the door through which a function's rows come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from include.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def to_polars(frame: Any, where: str) -> pl.DataFrame:
    """The rows of a frame of Polars (lazy too), pandas or Arrow; raises `DataError` that begins
    with `where` for anything else, and for values of which Polars can make no column.

    A named index of pandas becomes columns, a nameless one is left out. NaN of pandas is null.
    """
    try:
        if isinstance(frame, pl.LazyFrame):
            return frame.collect()
        if isinstance(frame, pl.DataFrame):
            return frame
        if type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns"):
            return _from_pandas(frame)
        if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
            return pl.DataFrame(frame)
    except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"{where} gives a frame of {_kind(frame)} that cannot be read: {error}. A column must"
            " hold values of one type."
        ) from error
    raise DataError(
        f"{where} gives {_kind(frame)}; valid are frames of Polars (lazy too), pandas, and tables"
        " of Arrow."
    )


def _from_pandas(frame: pd.DataFrame) -> pl.DataFrame:
    named = [name for name in frame.index.names if name is not None]
    if named:
        frame = frame.reset_index()
    repeated = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if repeated:
        raise ValueError(f"the columns {repeated} are there twice")
    return pl.DataFrame(pl.from_pandas(frame.rename(columns=str)))


def _kind(frame: Any) -> str:
    return f"{type(frame).__module__}.{type(frame).__qualname__}"
