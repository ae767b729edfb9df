"""Groups that a training set must hold enough of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from include.data_sets.representation import counted, represented, rows_that_train
from include.errors import SpecError
from include.spec import DataChecks, Representation, UseCase
from include.verdict import Finding
from tests.unit.model.synthetic import USE_CASE, parcels

FRAME = parcels(1000)


def declaring(*groupings: Representation) -> UseCase:
    return UseCase.model_validate(
        {**dict(USE_CASE), "data_checks": DataChecks(representation=groupings)}
    )


def judged(frame: pl.DataFrame, **limits: Any) -> list[Finding]:
    case = declaring(Representation(**{"column": "depot", "minimum_rows": 0, **limits}))
    return represented(case, frame, "x")


def without(depot: str, every: int = 0) -> pl.DataFrame:
    """The rows without a depot's, or with one in `every` of them."""
    kept = (pl.int_range(pl.len()) % every == 0) if every else pl.lit(value=False)
    return FRAME.filter((pl.col("depot") != depot) | kept)


def test_a_group_that_is_not_there_counts_as_zero_and_is_named():
    assert judged(FRAME, minimum_rows=150, minimum_share=0.2) == []
    (finding,) = judged(without("north"), minimum_rows=1)
    assert (finding.rule, finding.subject, finding.part) == ("representation", "x", "depot")
    assert finding.limit == "at least 1 rows that train of group 'north'"
    train = rows_that_train(USE_CASE, without("north")).height
    assert finding.observed == f"0 of {train} rows (0.00%)"


def test_a_group_with_too_small_a_share_is_refused_with_its_figures():
    frame = without("north", every=10)
    train = rows_that_train(USE_CASE, frame)
    rows = train.filter(pl.col("depot") == "north").height
    (finding,) = judged(frame, minimum_share=0.1)
    assert finding.observed == f"{rows} of {train.height} rows ({rows / train.height:.2%})"
    assert judged(frame, minimum_share=rows / train.height) == []


@pytest.mark.parametrize("limit", [{"minimum_positives": 5}, {"minimum_positive_share": 0.1}])
def test_a_group_without_enough_positives_is_refused_though_its_rows_are_there(
    limit: dict[str, float],
):
    frame = FRAME.with_columns(
        late=pl.when(pl.col("depot") == "north").then(0).otherwise("late").cast(pl.Int64)
    )
    assert judged(FRAME, minimum_rows=150, **limit) == []
    (finding,) = judged(frame, minimum_rows=150, **limit)
    assert "positive" in str(finding.limit)
    assert "'north'" in str(finding.limit)
    assert str(finding.observed).startswith("0 of ")


def test_only_rows_that_train_count():
    """A group that comes with the test rows was not learned from."""
    first = rows_that_train(USE_CASE, FRAME)["asked_at"][-1]
    late = FRAME.filter((pl.col("depot") != "north") | (pl.col("asked_at") > first))
    assert late.filter(pl.col("depot") == "north").height > 50
    # Fewer rows move the cut, and a few of the group lie before it.
    assert [str(finding.limit) for finding in judged(late, minimum_rows=100)] == [
        "at least 100 rows that train of group 'north'"
    ]


def test_values_of_no_group_are_named_and_refused_beyond_their_share():
    groups = {"town": ("east", "north")}
    (finding,) = judged(FRAME, groups=groups)
    assert str(finding.limit) == "at most 0.00% of rows that train of no group"
    west = rows_that_train(USE_CASE, FRAME).filter(pl.col("depot") == "west").height
    assert str(finding.observed).endswith(f": 'west' {west}")
    assert judged(FRAME, groups=groups, max_other_share=0.5) == []


def test_a_missing_value_is_a_group_where_one_names_it_and_no_text_is_taken_for_it():
    frame = FRAME.with_columns(
        depot=pl.when(pl.col("depot") == "west").then("depot"),
    ).with_columns(
        depot=pl.when(pl.col("parcel_id") == "p00000").then(pl.lit("(missing)")).otherwise("depot")
    )
    declared = Representation(column="depot", groups={"west": ("west",), "none": ("(missing)",)})
    counts = counted(USE_CASE, declared, frame)
    assert counts.rows["none"] == frame["depot"].null_count()
    assert dict(counts.others) == {'"(missing)"': 1}
    assert sum(counts.rows.values()) + 1 == frame.height


REFUSED = {
    "column that the set has not": ({"column": "parcel"}, "parcel"),
    "a time": ({"column": "pickup"}, "'timestamp'"),
    "value in two groups": ({"groups": {"a": ("east",), "b": ("east",)}}, "more than one group"),
    "empty group": ({"groups": {"a": ()}}, "name no value"),
    "shares that cannot be met": (
        {"groups": {"a": ("east",), "b": ("west",)}, "minimum_share": 0.6},
        "at most 0.5",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_declaration_that_cannot_hold_is_refused(wrong: str):
    fields, words = REFUSED[wrong]
    with pytest.raises((SpecError, ValueError), match=words):
        declaring(Representation(**{"column": "depot", **fields}))


def test_a_column_without_categories_needs_its_groups():
    table = USE_CASE.table("raw/parcels")
    columns = tuple(
        column.model_copy(update={"categories": ()}) if column.name == "depot" else column
        for column in table.columns
    )
    others = tuple(other for other in USE_CASE.tables if other.name != table.name)
    tables = (table.model_copy(update={"columns": columns}), *others)
    checks = DataChecks(representation=(Representation(column="depot"),))
    with pytest.raises((SpecError, ValueError), match="declare groups"):
        UseCase.model_validate({**dict(USE_CASE), "tables": tables, "data_checks": checks})


def test_the_split_of_a_set_that_cannot_be_cut_is_no_matter_of_this_rule():
    assert judged(FRAME.reverse(), minimum_rows=400) == []
    assert judged(FRAME.clear(), minimum_rows=400) == []
    shifted = FRAME.with_columns(pl.col("asked_at") + timedelta(days=1))
    assert len(judged(shifted, minimum_rows=400)) == 3
