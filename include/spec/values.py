"""What every reader of a declared value agrees on: the types, and what can be sent and modelled.

A table may hold more than a request can carry. What a caller sends (`Exchanged` columns: entity
keys, request fields, event time, id) and what a model reads (features) is bounded by these numbers
wherever it comes from: a file, a table, a request or a tensor.
"""

from __future__ import annotations

from typing import Literal

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp"]

LARGEST_NUMBER = 3.4028234663852886e38
"""The largest finite 32-bit float: the model's matrix holds nothing beyond."""
LARGEST_INTEGER = 2**53 - 1
"""Beyond it a number of JSON may stand for its neighbour (RFC 7493)."""
LONGEST_TEXT = 200
FIRST_YEAR, LAST_YEAR = 1970, 2199

TYPE_TEXTS: dict[ColumnType, str] = {
    "string": "text",
    "integer": "whole numbers of 64 bits",
    "number": "finite numbers",
    "boolean": "true or false",
    "timestamp": "timestamps with a time zone, to the microsecond, of the years 1 to 9999",
}
"""What a column of each type holds, beside nulls."""

EXCHANGED_TEXTS: dict[ColumnType, str] = {
    "string": f"text of 1 to {LONGEST_TEXT} characters",
    "integer": f"whole numbers from -{LARGEST_INTEGER} to {LARGEST_INTEGER}",
    "number": f"finite numbers of at most {LARGEST_NUMBER:.8g}, the largest of 32 bits",
    "boolean": "true or false",
    "timestamp": (
        f"timestamps with a time zone, to the microsecond, of the years {FIRST_YEAR} to {LAST_YEAR}"
    ),
}
"""The same of a column that a caller sends or a model reads."""


def name_problem(name: str) -> str | None:
    """What keeps `name` from being a column's name in every place that holds or reads it; None
    where nothing does.
    """
    if not name or name != name.strip():
        return "is empty, or begins or ends with white space"
    if not name.isprintable():
        return "holds a character that cannot be printed"
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        return "is a pattern of column names to Polars"
    return None
