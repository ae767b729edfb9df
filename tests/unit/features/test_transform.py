from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from include.errors import DataError
from include.features.transform import FeatureTransform, _codes
from include.spec import Input
from include.use_cases.flight_delays.spec import USE_CASE

DEPARTURE = datetime(2013, 7, 1, 5, 30, tzinfo=ZoneInfo("America/New_York"))


@pytest.fixture
def fitted() -> FeatureTransform:
    seen = pl.DataFrame(
        {
            "carrier": ["UA", "AA", None],
            "origin": ["JFK", "EWR", "EWR"],
            "dest": ["SFO", "LAX", "BOS"],
        }
    )
    return FeatureTransform.fit(USE_CASE, seen)


@pytest.fixture
def request_columns(fitted: FeatureTransform) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        name: [float(place)] for place, name in enumerate(fitted.columns)
    }
    return columns | {
        "carrier": ["UA"],
        "origin": ["LGA"],
        "dest": [None],
        "scheduled_departure": [DEPARTURE],
    }


def test_known_categories_get_codes_unknown_and_null_become_missing(fitted, request_columns):
    row = dict(zip(fitted.feature_names, fitted.apply(request_columns)[0], strict=True))
    assert row["carrier"] == 1.0
    assert np.isnan(row["origin"])
    assert np.isnan(row["dest"])


def test_a_column_of_a_frame_and_a_list_get_the_same_codes(fitted):
    values = ["UA", None, "ZZ", "AA", ""] * 200
    listed, column = (
        _codes("carrier", given, fitted.categories["carrier"])
        for given in (values, pl.Series(values))
    )
    assert np.array_equal(listed, column, equal_nan=True)
    assert np.isnan(_codes("carrier", pl.Series(["UA"]), ())).all()


def test_unseen_counts_values_outside_the_categories_but_no_nulls(fitted, request_columns):
    assert fitted.unseen(request_columns) == {"carrier": 0, "origin": 1, "dest": 0}


def test_time_is_read_on_the_local_clock(fitted, request_columns):
    row = dict(zip(fitted.feature_names, fitted.apply(request_columns)[0], strict=True))
    assert (row["departure_hour"], row["departure_weekday"]) == (5.0, 0.0)
    in_utc = request_columns | {"scheduled_departure": [DEPARTURE.astimezone(UTC)]}
    assert np.array_equal(fitted.apply(in_utc), fitted.apply(request_columns), equal_nan=True)


def test_hours_between_counts_from_the_event_time():
    item = Input(name="ahead", source="scheduled_departure", kind="hours_between")
    transform = FeatureTransform(inputs=(item,), event_time="asked_at", categories={})
    columns = {
        "scheduled_departure": [DEPARTURE],
        "asked_at": [datetime(2013, 7, 1, 7, 0, tzinfo=UTC)],
    }
    assert transform.columns == ["scheduled_departure", "asked_at"]
    assert transform.apply(columns).tolist() == [[2.5]]


def test_one_row_and_a_frame_give_the_same_bits(fitted, request_columns):
    one = fitted.apply(request_columns)
    frame = pl.DataFrame({name: values * 500 for name, values in request_columns.items()})
    many = fitted.apply_frame(frame)
    assert many.dtype == np.float32
    assert many.shape == (500, len(USE_CASE.inputs))
    assert np.array_equal(many, np.repeat(one, 500, axis=0), equal_nan=True)


def test_json_round_trip_keeps_everything(fitted, request_columns):
    again = FeatureTransform.model_validate_json(fitted.model_dump_json())
    assert again == fitted
    assert np.array_equal(
        again.apply(request_columns), fitted.apply(request_columns), equal_nan=True
    )


def test_nulls_and_nan_are_missing(fitted, request_columns):
    columns = request_columns | {"plane__seats": [None], "plane__built_year": [float("nan")]}
    assert np.isnan(fitted.apply(columns)[0, -2:]).all()


def test_names_and_types_for_xgboost(fitted):
    assert fitted.feature_names == [item.name for item in USE_CASE.inputs]
    assert fitted.feature_types == ["c", "c", "c"] + ["q"] * (len(USE_CASE.inputs) - 3)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("plane__seats", "1.5", "needs numbers"),
        ("plane__seats", float("inf"), "finite number"),
        ("carrier", 3, "a category is a string"),
        ("scheduled_departure", "2013-07-01T05:30:00Z", "datetime objects"),
        ("scheduled_departure", datetime(2013, 7, 1, 5, 30), "time zone"),  # noqa: DTZ001
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(fitted, request_columns, column, value, said):
    with pytest.raises(DataError, match=f"{column}.*{said}"):
        fitted.apply(request_columns | {column: [value]})


def test_a_missing_column_is_named(fitted, request_columns):
    del request_columns["plane__seats"]
    with pytest.raises(DataError, match=r"\['plane__seats'\] are missing"):
        fitted.apply(request_columns)


def test_columns_of_different_lengths_are_refused(fitted, request_columns):
    with pytest.raises(DataError, match="different lengths"):
        fitted.apply(request_columns | {"carrier": ["UA", "AA"]})
