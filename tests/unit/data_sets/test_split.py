from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest
from pydantic import ValidationError

from include.data_sets.split import SPLITS, cut, split_in_time
from include.errors import DataError
from include.spec import UseCase
from tests.unit.model.synthetic import START, USE_CASE, parcels


def test_the_split_follows_time_and_loses_no_row():
    frame = parcels(2000)
    result = split_in_time(USE_CASE, frame)
    parts = cut(USE_CASE, frame, result.boundaries)
    assert pl.concat([parts[name] for name in SPLITS]).equals(frame)
    assert parts["train"]["asked_at"].max() < parts["validation"]["asked_at"].min()
    assert parts["validation"]["asked_at"].max() < parts["test"]["asked_at"].min()
    assert result.rows == {name: parts[name].height for name in SPLITS}
    assert result.shares == pytest.approx(
        {"train": 0.7, "validation": 0.15, "test": 0.15}, abs=0.005
    )
    assert result.base_rates["train"] == pytest.approx(parts["train"]["late"].mean())


def test_rows_of_one_moment_stay_together():
    frame = parcels(2000)
    hours = frame.with_columns(pl.col("asked_at").dt.truncate("6h"))
    result = split_in_time(USE_CASE, hours)
    parts = cut(USE_CASE, hours, result.boundaries)
    moments = [set(parts[name]["asked_at"]) for name in SPLITS]
    assert not moments[0] & moments[1]
    assert not moments[1] & moments[2]


def test_a_boundary_belongs_to_the_later_split():
    frame = parcels(2000)
    boundaries = split_in_time(USE_CASE, frame).boundaries
    first = datetime.fromisoformat(boundaries["validation_start"])
    assert cut(USE_CASE, frame, boundaries)["validation"]["asked_at"].min() == first


@pytest.mark.parametrize(
    "change",
    [pl.col("asked_at").min(), pl.lit(START + timedelta(days=1), dtype=pl.Datetime("us", "UTC"))],
)
def test_rows_of_one_moment_only_cannot_be_split(change):
    with pytest.raises(DataError, match="train split has 0 rows"):
        split_in_time(USE_CASE, parcels(500).with_columns(asked_at=change))


def test_a_split_of_one_class_is_named():
    frame = parcels(500).with_columns(
        late=pl.when(pl.int_range(pl.len()) < 400).then("late").otherwise(0)
    )
    with pytest.raises(DataError, match="test split"):
        split_in_time(USE_CASE, frame)


def test_rows_of_one_group_never_straddle():
    grouped = USE_CASE.model_copy(
        update={"training": USE_CASE.training.model_copy(update={"group_by": "depot"})}
    )
    # Orders of one customer lie within some days; a few orders have no customer.
    frame = parcels(3000).with_row_index("row")
    customer = pl.when(pl.col("row") % 10 > 0).then(
        pl.format("c{}", (pl.col("row") + pl.col("row") % 7 * 150) // 300)
    )
    frame = frame.with_columns(depot=customer).drop("row")
    result = split_in_time(grouped, frame)
    parts = cut(grouped, frame, result.boundaries)
    groups = [set(part["depot"].drop_nulls()) for part in parts.values()]
    assert groups[0].isdisjoint(groups[1])
    assert groups[0].isdisjoint(groups[2])
    assert groups[1].isdisjoint(groups[2])
    assert sum(part.height for part in parts.values()) == frame.height
    assert all(part["depot"].null_count() for part in parts.values())
    assert parts["train"]["asked_at"].max() < datetime.fromisoformat(
        result.boundaries["validation_start"]
    )
    plain = cut(USE_CASE, frame, result.boundaries)
    assert set(plain["train"]["depot"]) & set(plain["validation"]["depot"]) - {None}


def test_a_group_must_be_a_column_that_the_snapshot_has():
    training = USE_CASE.training.model_copy(update={"group_by": "customer"})
    with pytest.raises(ValidationError, match=r"training.group_by is 'customer'.* valid: .*depot"):
        UseCase.model_validate({**USE_CASE.model_dump(), "training": training.model_dump()})
