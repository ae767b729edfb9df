"""The one cast of values to what a specification declares: lossless, or refused by name.

Whatever a delivery, a feature computation or a file to be scored brings goes through `cast_frame`
once; later readers see the declared type only. A value is refused where its type is another one or
where it would change; a NaN is a missing value, and a column without any value has any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import polars as pl

from include.errors import DataError
from include.spec.values import (
    EXCHANGED_TEXTS,
    FIRST_YEAR,
    LARGEST_INTEGER,
    LARGEST_NUMBER,
    LAST_YEAR,
    LONGEST_TEXT,
    TYPE_TEXTS,
    ColumnType,
)
from include.tables.types import TYPES

EXACT_INTEGER = 2**53
"""Up to here every whole number is a 64-bit float of its own."""
US_PER_SECOND = 1_000_000
NS_PER_US = 1000
REFUSED_TYPE, REFUSED_TEXT = "refused_type", "refused_text"
"""The fields of a landed value that a table cannot hold, see `include.tables.landable`."""


@dataclass(frozen=True)
class Declared:
    """What a column is declared as.

    `exchanged` bounds it to what a caller can send and a model can read, `bits` to a feature type
    of 32 bits, `whole_seconds` to times without fractions (Feast's online stores have no others).
    """

    name: str
    type: ColumnType
    exchanged: bool = False
    bits: int = 64
    whole_seconds: bool = False

    @property
    def text(self) -> str:
        """What the column may hold, in words."""
        if self.whole_seconds:
            return "timestamps with a time zone, in whole seconds"
        if self.type == "integer" and self.bits == 32:  # as its name says
            return "whole numbers of 32 bits"
        return (EXCHANGED_TEXTS if self.exchanged else TYPE_TEXTS)[self.type]


@dataclass(frozen=True)
class Refusal:
    """A column that cannot become what it is declared as.

    `row` is the position of the first refused value (the first row is 0), `example` that row as
    JSON, `remedy` what to do.
    """

    column: str
    declared: ColumnType
    expected: str
    observed: str
    remedy: str
    row: int
    example: dict[str, Any]

    @property
    def reason(self) -> str:
        """One sentence for people."""
        return f"{self.column!r} must hold {self.expected}; {self.observed}. {self.remedy}."


@dataclass(frozen=True)
class Cast:
    """A frame in its declared types; the columns of `refusals` are as they came."""

    frame: pl.DataFrame
    refusals: list[Refusal]


_Part = tuple[pl.Series, str]
"""Which values are refused (true or false per row), and what to do about them."""
_Caster = Callable[[pl.Series, Declared], tuple[pl.Series, list[_Part]]]


def cast_frame(frame: pl.DataFrame, declared: Iterable[Declared], *, first_row: int = 0) -> Cast:
    """The frame with its declared columns cast; columns that are not there, or that nobody
    declares, are left alone. Refusals count rows from `first_row` on.
    """
    columns: list[pl.Series] = []
    refusals: list[Refusal] = []
    present = [column for column in declared if column.name in frame.columns]
    done = _as_declared(frame, present)
    for column in present:
        if column.name in done:
            continue
        cast, refused = cast_column(frame[column.name], column)
        if refused is None:
            columns.append(cast)
        else:
            refusals.append(_refusal(frame, column, *refused, first_row))
    return Cast(frame.with_columns(columns), refusals)


def cast_or_refuse(
    frame: pl.DataFrame, declared: Iterable[Declared], where: str, *, first_row: int = 0
) -> pl.DataFrame:
    """The cast frame; raises `DataError` that begins with `where` and names every refused column
    with its first value. `first_row` is the position of the frame's first row there.
    """
    cast = cast_frame(frame, declared, first_row=first_row)
    if cast.refusals:
        first = min(cast.refusals, key=lambda refusal: refusal.row)
        texts = " ".join(f"column {refusal.reason}" for refusal in cast.refusals)
        raise DataError(f"{where}: {texts} Row {first.row}: {first.example}")
    return cast.frame


def cast_column(values: pl.Series, declared: Declared) -> tuple[pl.Series, _Part | None]:
    """The column in its declared type, or what is refused of it."""
    dtype = TYPES[declared.type]
    if _is_empty(values):
        return pl.Series(values.name, [None] * len(values), dtype=dtype), None
    cast, parts = _CASTERS[declared.type](values, declared)
    refused = next(((mask, remedy) for mask, remedy in parts if mask.any()), None)
    if refused is None:
        return cast, None
    every = parts[0][0]
    for mask, _ in parts[1:]:
        every = every | mask
    return values, (every.fill_null(value=False), refused[1])


def _as_declared(frame: pl.DataFrame, declared: Iterable[Declared]) -> set[str]:
    """The columns that are already what a cast would make of them, as those of our own tables are;
    one pass over all, where a cast takes several over each.
    """
    departures = {
        column.name: _departs(column)
        for column in declared
        if frame.schema[column.name] == TYPES[column.type]
    }
    if not departures:
        return set()
    departing = frame.select(
        departs.fill_null(value=False).any().alias(name) for name, departs in departures.items()
    ).row(0, named=True)
    return {name for name, departs in departing.items() if not departs}


def _departs(declared: Declared) -> pl.Expr:
    """Whether a value of the declared type would be changed or refused, or may be: the cast itself
    looks closer.
    """
    value = pl.col(declared.name)
    match declared.type:
        case "string" if declared.exchanged:
            size = value.str.len_bytes()  # known without a look at the text; never less than signs
            return (size == 0) | (size > LONGEST_TEXT)
        case "integer":
            largest = _largest_integer(declared)
            return (value > largest) | (value < -largest)
        case "number":
            return ~value.is_finite() | (declared.exchanged and value.abs() > LARGEST_NUMBER)
        case "timestamp":
            first, last = _years(declared)
            us = value.to_physical()
            outside = (us < _seconds(first) * US_PER_SECOND) | (
                us >= _seconds(last + 1) * US_PER_SECOND
            )
            return outside | (us % US_PER_SECOND != 0) if declared.whole_seconds else outside
        case _:
            return pl.lit(value=False)


def plain(value: Any) -> Any:
    """A value as JSON has it: no timestamps, no NaN, no bytes."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _is_empty(values: pl.Series) -> bool:
    if values.dtype.is_float():
        values = values.fill_nan(None)
    return values.null_count() == len(values)


def _refusal(
    frame: pl.DataFrame, declared: Declared, mask: pl.Series, remedy: str, first_row: int
) -> Refusal:
    row = int(mask.arg_max() or 0)
    example, place = row_example(frame, row), row + first_row
    value = example[declared.name]
    dtype = str(frame.schema[declared.name])
    if isinstance(value, Mapping) and set(value) == {REFUSED_TYPE, REFUSED_TEXT}:
        dtype, value = value[REFUSED_TYPE], value[REFUSED_TEXT]
    count = f"{int(mask.sum())} of {frame.height} rows"
    return Refusal(
        declared.name,
        declared.type,
        f"{declared.type}: {declared.text}",
        f"{count} do not (the column came as {dtype}), for example {value!r} in row {place}",
        remedy,
        place,
        example,
    )


def row_example(frame: pl.DataFrame, row: int) -> dict[str, Any]:
    """One row as JSON, also where a value lies beyond what Python holds."""
    return {name: _value(frame[name], row) for name in frame.columns}


def _value(values: pl.Series, row: int) -> Any:
    if isinstance(values.dtype, pl.Datetime):
        seconds = values.slice(row, 1).dt.epoch("s")[0]
        if seconds is not None and not _seconds(2) <= seconds < _seconds(9999):
            return str(values.slice(row, 1).to_physical()[0])  # Python may have no such time
    return plain(values[row])


def _other_type(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    remedy = (
        f"Deliver {declared.type}s, or declare the column as what it is"
        if declared.type != "timestamp"
        else "Deliver timestamps with a time zone, or declare the column as what it is"
    )
    return values, [(values.is_not_null(), remedy)]


def _string(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    if values.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return _other_type(values, declared)
    text = values.cast(pl.String)
    if not declared.exchanged:
        return text, []
    length = text.str.len_chars()
    return text, [
        (length == 0, "Deliver null for a missing text"),
        (length > LONGEST_TEXT, f"A caller can send {LONGEST_TEXT} characters; shorten the text"),
    ]


def _integer(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    parts: list[_Part] = []
    if values.dtype.is_integer():
        whole = values.cast(pl.Int64, strict=False)
        parts.append(
            (values.is_not_null() & whole.is_null(), "Declare text for numbers beyond 64 bits")
        )
    elif values.dtype.is_float():
        number = values.cast(pl.Float64).fill_nan(None)
        whole = number.cast(pl.Int64, strict=False)
        fraction = (number != number.floor()).fill_null(value=False)
        beyond = (number.abs() > EXACT_INTEGER).fill_null(value=False)
        parts += [
            (fraction, "Declare the column as number, or deliver whole numbers"),
            (beyond, "Deliver integers: a float of this size may stand for its neighbour"),
        ]
    elif values.dtype.is_decimal():
        whole = values.cast(pl.Int64, strict=False)
        differs = (whole.cast(values.dtype, strict=False) != values).fill_null(value=True)
        parts.append(
            (
                values.is_not_null() & differs,
                "Declare the column as number, or deliver whole numbers of 64 bits",
            )
        )
    else:
        return _other_type(values, declared)
    largest = _largest_integer(declared)
    if largest < 2**63 - 1:
        beyond = ((whole > largest) | (whole < -largest)).fill_null(value=False)
        parts.append((beyond, "Declare and deliver such a number as text"))
    return whole, parts


def _number(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    parts: list[_Part] = []
    if values.dtype.is_float():
        number = values.cast(pl.Float64).fill_nan(None)
    elif values.dtype.is_integer() or values.dtype.is_decimal():
        number = values.cast(pl.Float64, strict=False)
        back = number.cast(values.dtype, strict=False)
        differs = values.is_not_null() & (back != values).fill_null(value=True)
        parts.append(
            (differs, "It has more digits than a float of 64 bits: round it before delivering")
        )
    else:
        return _other_type(values, declared)
    parts.append(
        (number.is_infinite().fill_null(value=False), "Deliver null where there is no number")
    )
    if declared.exchanged:
        beyond = (number.abs() > LARGEST_NUMBER).fill_null(value=False)
        parts.append((beyond, "A model reads floats of 32 bits: deliver another unit"))
    return number, parts


def _boolean(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    return (values, []) if values.dtype == pl.Boolean else _other_type(values, declared)


def _timestamp(values: pl.Series, declared: Declared) -> tuple[pl.Series, list[_Part]]:
    dtype = values.dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        return _other_type(values, declared)
    first, last = _years(declared)
    years = f"Deliver times of the years {first} to {last}"
    seconds = values.dt.epoch("s")
    outside = (seconds < _seconds(first)) | (seconds >= _seconds(last + 1))
    if outside.fill_null(value=False).any():
        return values, [(outside.fill_null(value=False), years)]
    moment = values.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))
    parts: list[_Part] = []
    if dtype.time_unit == "ns":
        finer = (values.dt.epoch("ns") % NS_PER_US != 0).fill_null(value=False)
        parts.append((finer, "Deliver times to the microsecond"))
    if declared.whole_seconds:
        finer = (moment.dt.epoch("us") % US_PER_SECOND != 0).fill_null(value=False)
        parts.append((finer, "Round the time to whole seconds: online stores keep no fraction"))
    return moment, parts


def _largest_integer(declared: Declared) -> int:
    largest: int = 2 ** (declared.bits - 1) - 1
    return min(largest, LARGEST_INTEGER) if declared.exchanged else largest


def _years(declared: Declared) -> tuple[int, int]:
    return (FIRST_YEAR, LAST_YEAR) if declared.exchanged else (1, 9999)


def _seconds(year: int) -> int:
    """Seconds from 1970 to the year's begin; of the year 10,000 by the Gregorian calendar."""
    if year > 9999:  # beyond datetime
        return int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) + 86_400
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp())


_CASTERS: dict[ColumnType, _Caster] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
}
