"""The one cast: what is taken over without loss, and what is refused by column, row and remedy."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import DataError
from include.spec import ColumnType
from include.spec.values import LARGEST_INTEGER, LARGEST_NUMBER, LONGEST_TEXT
from include.tables.casting import Declared, cast_column, cast_frame, cast_or_refuse
from include.tables.types import TYPES

NOON = datetime(2020, 6, 1, 12, tzinfo=UTC)


def series(values: list[Any], dtype: Any = None) -> pl.Series:
    return pl.Series("x", values, dtype=dtype)


def decimals(*texts: str, scale: int = 2) -> pl.Series:
    return series(list(texts)).cast(pl.Decimal(38, scale))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (series([1.0, float("nan"), None, -0.0]), "integer", [1, None, None, 0]),
        (series([7, 2**63 - 1], pl.UInt64), "integer", [7, 2**63 - 1]),
        (series([200], pl.UInt8), "integer", [200]),
        (series([1], pl.Int128), "integer", [1]),
        (decimals("-4.00", "3.00"), "integer", [-4, 3]),
        (series([1, -(2**53)]), "number", [1.0, -(2.0**53)]),
        (decimals("1.25", "-99999999999.99"), "number", [1.25, -99999999999.99]),
        (series([0.5, float("nan")]), "number", [0.5, None]),
        (series([0.1], pl.Float32), "number", [0.10000000149011612]),
        (series(["a", None], pl.Categorical), "string", ["a", None]),
        (series(["a"], pl.Enum(["a", "b"])), "string", ["a"]),
        (series(["x" * 100_000]), "string", ["x" * 100_000]),
        (series([True, None]), "boolean", [True, None]),
        (series([NOON]).cast(pl.Datetime("ns", "UTC")), "timestamp", [NOON]),
        (series([NOON]).cast(pl.Datetime("ms", "UTC")), "timestamp", [NOON]),
        (series([NOON]).dt.convert_time_zone("Asia/Kathmandu"), "timestamp", [NOON]),
        *(
            (series([None, None], dtype), kind, [None, None])
            for kind in TYPES
            for dtype in (pl.Null, pl.String, pl.Int64, pl.Float64, pl.Boolean, pl.List(pl.UInt8))
        ),
        *((series([float("nan")]), kind, [None]) for kind in TYPES),
    ],
)
def test_what_loses_nothing_is_taken_over(
    values: pl.Series, kind: ColumnType, expected: list[Any]
) -> None:
    cast, refused = cast_column(values, Declared("x", kind))
    assert refused is None
    assert cast.dtype == TYPES[kind]
    assert cast.to_list() == expected


@pytest.mark.parametrize(
    ("values", "kind", "row", "remedy"),
    [
        (series([61.0, 61.7]), "integer", 1, "Declare the column as number"),
        (series([2.0**53 + 2]), "integer", 0, "may stand for its neighbour"),
        (series([float("inf")]), "integer", 0, "Deliver integers"),
        (series([1, 2**63], pl.UInt64), "integer", 1, "beyond 64 bits"),
        (decimals("1.00", "1.50"), "integer", 1, "Declare the column as number"),
        (series(["12"]), "integer", 0, "Deliver integers"),
        (series([True]), "integer", 0, "Deliver integers"),
        (series(["12"]), "number", 0, "Deliver numbers"),
        (series([0.0, float("-inf")]), "number", 1, "null where there is no number"),
        (series([2**53 + 1]), "number", 0, "more digits"),
        (series([2**63 - 1]), "number", 0, "more digits"),
        (decimals("123456789012345678.01"), "number", 0, "round it"),
        (series([1]), "boolean", 0, "Deliver booleans"),
        (series(["true"]), "boolean", 0, "Deliver booleans"),
        (series([None, 7]), "string", 1, "Deliver strings"),
        (series([b"a"]), "string", 0, "Deliver strings"),
        (series([["a"]]), "string", 0, "Deliver strings"),
        (series([NOON.replace(tzinfo=None)]), "timestamp", 0, "with a time zone"),
        (series([date(2020, 1, 1)]), "timestamp", 0, "with a time zone"),
        (series([time(1)]), "timestamp", 0, "with a time zone"),
        (series([timedelta(1)]), "timestamp", 0, "with a time zone"),
        (series(["2020-01-01T00:00:00Z"]), "timestamp", 0, "with a time zone"),
        (series([1_500_000_000]), "timestamp", 0, "with a time zone"),
        (series([1000, 1001]).cast(pl.Datetime("ns", "UTC")), "timestamp", 1, "microsecond"),
        (series([2**62]).cast(pl.Datetime("ms", "UTC")), "timestamp", 0, "1 to 9999"),
    ],
)
def test_what_would_change_is_refused_with_its_row_and_what_to_do(
    values: pl.Series, kind: ColumnType, row: int, remedy: str
) -> None:
    frame = pl.DataFrame({"id": [f"n{number}" for number in range(len(values))]})
    cast = cast_frame(frame.with_columns(values), [Declared("x", kind)])
    (refusal,) = cast.refusals
    assert (refusal.column, refusal.row, refusal.example["id"]) == ("x", row, f"n{row}")
    assert remedy in refusal.remedy
    assert cast.frame["x"].dtype == values.dtype
    with pytest.raises(
        DataError, match=f"file.parquet: column 'x' must hold {kind}.*Row {row + 7}: "
    ):
        cast_or_refuse(
            frame.with_columns(values), [Declared("x", kind)], "file.parquet", first_row=7
        )


@pytest.mark.parametrize(
    ("value", "kind", "remedy"),
    [
        ("", "string", "Deliver null"),
        ("x" * (LONGEST_TEXT + 1), "string", "shorten"),
        (LARGEST_INTEGER + 1, "integer", "as text"),
        (-LARGEST_INTEGER - 1, "integer", "as text"),
        (1e39, "number", "32 bits"),
        (datetime(1969, 12, 31, tzinfo=UTC), "timestamp", "1970 to 2199"),
        (datetime(2200, 1, 1, tzinfo=UTC), "timestamp", "1970 to 2199"),
    ],
)
def test_what_no_caller_can_send_is_refused_where_callers_send_it(
    value: Any, kind: ColumnType, remedy: str
) -> None:
    values = series([value])
    assert cast_column(values, Declared("x", kind))[1] is None
    refused = cast_column(values, Declared("x", kind, exchanged=True))[1]
    assert refused is not None
    assert remedy in refused[1]


def test_online_stores_get_what_they_can_hold() -> None:
    fraction = series([NOON, NOON + timedelta(microseconds=1)])
    seconds = Declared("x", "timestamp", exchanged=True, whole_seconds=True)
    assert cast_column(fraction.head(1), seconds)[1] is None
    assert cast_column(fraction, seconds)[1] is not None
    assert cast_column(series([2**31]), Declared("x", "integer", bits=32))[1] is not None
    assert cast_column(series([2**31 - 1]), Declared("x", "integer", bits=32))[1] is None


def test_columns_that_nobody_declares_stay_as_they_are() -> None:
    frame = pl.DataFrame({"x": series([1], pl.UInt8), "y": series(["12"])})
    cast = cast_frame(frame, [Declared("x", "number"), Declared("absent", "string")])
    assert (cast.frame.schema["x"], cast.frame.schema["y"]) == (pl.Float64(), pl.String())


VALUES: dict[ColumnType, st.SearchStrategy[Any]] = {
    "string": st.text(min_size=1, max_size=LONGEST_TEXT),
    "integer": st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
    "number": st.floats(-LARGEST_NUMBER, LARGEST_NUMBER, allow_nan=False),
    "boolean": st.booleans(),
    "timestamp": st.integers(0, 7_000_000_000_000_000).map(
        lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    ),
}


@pytest.mark.parametrize("kind", list(TYPES))
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_declared_values_come_out_as_they_went_in_and_a_second_cast_changes_nothing(
    kind: ColumnType, data: st.DataObject
) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=8))
    declared = Declared("x", kind, exchanged=True)
    cast, refused = cast_column(series(values, TYPES[kind]), declared)
    assert refused is None
    assert cast.to_list() == values
    assert cast_column(cast, declared)[0].equals(cast)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(st.none() | st.floats(), min_size=1, max_size=8),
    kind=st.sampled_from(["integer", "number"]),
)
def test_a_float_is_equal_after_the_cast_missing_or_refused(
    values: list[float | None], kind: ColumnType
) -> None:
    cast, refused = cast_column(series(values, pl.Float64), Declared("x", kind))
    if refused is None:
        for before, after in zip(values, cast.to_list(), strict=True):
            assert after is None if before is None or before != before else after == before


ANYTHING: dict[ColumnType, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=3) | st.just("x" * (LONGEST_TEXT + 1)),
    "integer": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "number": st.floats(),
    "boolean": st.booleans(),
    "timestamp": st.integers(-(2**55), 2**57).map(
        lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    ),
}


@pytest.mark.parametrize("kind", list(TYPES))
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), exchanged=st.booleans(), narrow=st.booleans())
def test_a_column_in_its_declared_type_is_judged_like_any_other(
    kind: ColumnType, data: st.DataObject, exchanged: bool, narrow: bool
) -> None:
    declared = Declared(
        "x",
        kind,
        exchanged=exchanged,
        bits=32 if narrow and kind == "integer" else 64,
        whole_seconds=narrow and kind == "timestamp",
    )
    values = series(data.draw(st.lists(st.none() | ANYTHING[kind], max_size=4)), TYPES[kind])
    column, refused = cast_column(values, declared)
    cast = cast_frame(pl.DataFrame({"x": values}), [declared])
    assert cast.frame["x"].equals(column, null_equal=True)
    assert bool(cast.refusals) == (refused is not None)
