"""What a batch looks like, column by column: kept beside its validation result, for people and for
later comparison.
"""

from __future__ import annotations

from typing import Any

import polars as pl


def describe(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Column name -> `type`, `nulls`, `distinct`, and `minimum`, `maximum` (numbers, timestamps),
    `mean` (numbers).

    Plain JSON; timestamps in ISO 8601. A value that does not exist (an empty column's minimum) is
    None.
    """
    return {name: _column(frame[name]) for name in frame.columns}


def _column(values: pl.Series) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "type": str(values.dtype),
        "nulls": values.null_count(),
        "distinct": values.n_unique(),
    }
    if values.dtype.is_numeric():
        mean = values.mean()
        facts |= {"minimum": values.min(), "maximum": values.max(), "mean": mean}
    elif isinstance(values.dtype, pl.Datetime):
        facts |= {
            name: None if moment is None else str(moment)
            for name, moment in (("minimum", values.min()), ("maximum", values.max()))
        }
    return facts
