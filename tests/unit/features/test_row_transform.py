from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from include.errors import DataError
from include.features.retrieval import point_in_time
from include.features.row_transform import ROW_LIMIT, RowTransform
from include.features.transform import FeatureTransform
from include.settings import Settings
from include.spec import Input
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE

ZONES = ("America/New_York", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
INPUTS = (
    Input(name="kind", source="kind", kind="category"),
    *(
        Input(name=f"hour_{zone}", source="leaves", kind="local_hour", timezone=zone)
        for zone in ZONES
    ),
    *(
        Input(name=f"day_{zone}", source="leaves", kind="local_weekday", timezone=zone)
        for zone in ZONES
    ),
    *(
        Input(name=f"month_{zone}", source="leaves", kind="local_month", timezone=zone)
        for zone in ZONES
    ),
    Input(name="rate", source="view:rate"),
    Input(name="ahead", source="leaves", kind="hours_between"),
    Input(name="seen", source="view:seen", kind="hours_between"),
    Input(name="count", source="view:count"),
    Input(name="dest", source="view:dest", kind="category"),
)
TRANSFORM = FeatureTransform(
    inputs=INPUTS,
    event_time="asked",
    categories={"kind": ("a", "b", ""), "dest": ("LAX", "Ürümqi")},
)
ROWS = RowTransform(TRANSFORM)
CHANGES = [
    datetime(2013, 3, 10, 7, tzinfo=UTC),
    datetime(2013, 11, 3, 6, tzinfo=UTC),
    datetime(2013, 10, 27, 1, tzinfo=UTC),
    datetime(2013, 12, 31, 23, tzinfo=UTC),
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

near_a_change = st.builds(
    lambda at, seconds: at + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-7200, 7200),
)
anywhere = st.integers(0, 229 * 31_556_952 * 1_000_000).map(
    lambda microseconds: EPOCH + timedelta(microseconds=microseconds)
)
moments = st.one_of(near_a_change, anywhere)
numbers = st.floats(-1e38, 1e38, allow_nan=False)
row_values = st.fixed_dictionaries(
    {
        "kind": st.one_of(st.none(), st.sampled_from(["a", "b", "", "unseen", "A"])),
        "leaves": st.one_of(st.none(), moments),
        "view__rate": st.one_of(st.none(), numbers),
        "asked": moments,
        "view__seen": st.one_of(st.none(), moments),
        "view__count": st.one_of(st.none(), st.integers(-(2**60), 2**60)),
        "view__dest": st.one_of(st.none(), st.sampled_from(["LAX", "Ürümqi", "JFK"])),
    }
)


def by_columns(rows: list[dict[str, Any]]) -> np.ndarray:
    return TRANSFORM.apply({name: [row[name] for row in rows] for name in TRANSFORM.columns})


def in_utc(record: dict[str, Any]) -> dict[str, Any]:
    """As a request's times are: Polars gives them the zone UTC of the zone table instead."""
    return {
        name: value.astimezone(UTC) if isinstance(value, datetime) else value
        for name, value in record.items()
    }


@pytest.mark.slow
@effort(max_examples=400, deadline=None)
@given(st.lists(row_values, min_size=1, max_size=5))
def test_the_matrix_is_bit_for_bit_that_of_the_columns(rows):
    made, expected = ROWS.matrix(rows), by_columns(rows)
    assert (made.dtype, made.shape) == (np.float32, (len(rows), len(INPUTS)))
    assert np.array_equal(made, expected, equal_nan=True)


@effort(max_examples=200, deadline=None)
@given(near_a_change, st.sampled_from(ZONES))
def test_the_compiled_path_itself_reads_clocks_as_the_columns_do(moment, zone):
    plain = {
        "kind": None,
        "leaves": moment,
        "view__rate": 0.1,
        "asked": moment,
        "view__seen": None,
        "view__count": 1,
        "view__dest": None,
    }
    values = ROWS._values(plain)
    assert values is not None
    assert np.array_equal(np.float32([values]), by_columns([plain]), equal_nan=True)


@pytest.mark.slow
def test_real_rows_get_the_same_matrix_one_by_one_and_all_at_once(two_months: Settings):
    flights = (
        TableStore(two_months.tables_uri)
        .read("raw/flights")
        .sort("asked_at", "flight_id")
        .gather_every(20)
    )
    frame = point_in_time(USE_CASE, flights, two_months)
    transform = FeatureTransform.fit(USE_CASE, frame.head(500))
    compiled, records = (
        RowTransform(transform),
        [in_utc(record) for record in frame.select(transform.columns).to_dicts()],
    )
    assert all(compiled._values(record) is not None for record in records)
    expected = transform.apply_frame(frame)
    assert np.isnan(expected).any()
    alone = np.concatenate([compiled.matrix([record]) for record in records])
    assert np.array_equal(alone, expected, equal_nan=True)
    assert len(records) > ROW_LIMIT
    assert np.array_equal(compiled.matrix(records), expected, equal_nan=True)


@pytest.mark.parametrize(
    ("column", "value"),
    [("view__rate", float("inf")), ("view__rate", "x"), ("kind", 3), ("leaves", "2013-01-01")],
)
def test_what_the_columns_refuse_is_refused_alike(column, value):
    row = {
        "kind": "a",
        "leaves": CHANGES[0],
        "view__rate": 1.0,
        "asked": CHANGES[0],
        "view__seen": None,
        "view__count": 1,
        "view__dest": None,
    }
    with pytest.raises(DataError) as expected:
        by_columns([row | {column: value}])
    with pytest.raises(DataError) as raised:
        ROWS.matrix([row | {column: value}])
    assert str(raised.value) == str(expected.value)


def test_unseen_categories_are_named_and_nulls_are_not():
    assert ROWS.unseen({"kind": "zz", "view__dest": None}) == ["unseen:kind"]
    assert ROWS.unseen({"kind": "", "view__dest": "JFK"}) == ["unseen:dest"]
