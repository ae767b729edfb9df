from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from include.errors import SpecError
from include.interval import Interval
from include.quality.rules import declared_rules
from include.quality.validation import validate, validate_frame
from include.spec import Column, RowRule, Table
from include.verdict import DATA_COLUMNS

START = datetime(2013, 1, 1, tzinfo=UTC)
TABLE = Table(
    name="raw/things",
    key=("name", "at"),
    time_column="at",
    minimum_rows=5,
    columns=(
        Column(name="name", type="string"),
        Column(name="at", type="timestamp"),
        Column(
            name="kind", type="string", categories=("a", "b"), unseen_share=0.1, max_null_share=0.1
        ),
        Column(name="count", type="integer", minimum=0, maximum=9, max_null_share=0.5),
        Column(name="size", type="number", minimum=-1.5, max_null_share=0.1),
        Column(name="open", type="boolean"),
    ),
)


@pytest.fixture
def good() -> pl.DataFrame:
    rows = 20
    return pl.DataFrame(
        {
            "name": [f"n{row}" for row in range(rows)],
            "at": [START + timedelta(hours=row) for row in range(rows)],
            "kind": ["a", "b"] * 10,
            "count": [3, None] * 10,
            "size": [0.5] * rows,
            "open": [True, False] * 10,
        }
    ).with_columns(pl.col("at").dt.cast_time_unit("us"))


def broken(column: str, value: object, rows: int = 1) -> pl.Expr:
    return (
        pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(column).alias(column)
    )


def test_a_valid_batch_has_no_failure(good: pl.DataFrame):
    assert validate_frame(TABLE, good) == []


def test_an_empty_batch_is_refused(good: pl.DataFrame):
    failures = validate_frame(TABLE, good.head(0))
    assert [(failure.rule, failure.observed) for failure in failures] == [("row count", "0 rows")]


def test_shares_below_their_limits_pass(good: pl.DataFrame):
    assert validate_frame(TABLE, good.with_columns(broken("kind", "z", 2))) == []
    assert (
        validate_frame(
            TABLE,
            good.with_columns(
                pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("kind").alias("kind")
            ),
        )
        == []
    )


@pytest.mark.parametrize(
    ("spoil", "column", "rule", "observed"),
    [
        (lambda f: f.head(4), "", "row count", "4 rows"),
        (lambda f: f.drop("size"), "", "columns", r"missing ['size']"),
        (lambda f: f.with_columns(pl.col("count").cast(pl.String)), "count", "type", "String"),
        (lambda f: f.with_columns(pl.lit(7).alias("name"), pl.col("at")), "name", "type", "Int32"),
        (
            lambda f: f.with_columns(pl.col("at").dt.replace_time_zone(None)),
            "at",
            "type",
            "time_zone=None",
        ),
        (lambda f: f.with_columns(open=pl.lit("yes")), "open", "type", "String"),
        (
            lambda f: f.with_columns(pl.lit(None, pl.String).alias("name")),
            "name",
            "nulls",
            "20 of 20 rows",
        ),
        (lambda f: f.with_columns(count=None), "count", "nulls", "20 of 20 rows"),
        (
            lambda f: f.with_columns(broken("size", float("nan"), 3)),
            "size",
            "nulls",
            "3 of 20 rows",
        ),
        (lambda f: f.with_columns(broken("count", 10)), "count", "range", "values 10 to 10"),
        (lambda f: f.with_columns(broken("size", -2.0)), "size", "range", "values -2.0 to -2.0"),
        (lambda f: f.with_columns(broken("kind", "z", 3)), "kind", "categories", "values ['z']"),
    ],
)
def test_one_broken_rule_is_one_failure_with_what_was_seen(
    good: pl.DataFrame, spoil, column, rule, observed
):
    failures = validate_frame(TABLE, spoil(good))
    assert [
        (failure.subject, failure.part, failure.rule)
        for failure in failures
        if failure.rule != "unique key"
    ] == [("raw/things", column, rule)]
    assert observed in failures[0].observed
    assert json.loads(json.dumps(failures[0].as_row(DATA_COLUMNS))) == failures[0].as_row(
        DATA_COLUMNS
    )


def test_a_new_column_is_a_warning_and_a_renamed_one_is_missing_and_new(good: pl.DataFrame):
    extended = validate(TABLE, good.with_columns(extra=1))
    assert extended.failures == []
    assert extended.warnings == [
        "raw/things.extra: new column (Int32), not declared: left out when publishing"
    ]
    renamed = validate(TABLE, good.rename({"size": "length"}))
    assert [failure.observed for failure in renamed.failures] == [
        "missing ['size'], not declared ['length']"
    ]
    assert len(renamed.warnings) == 1


def test_the_example_is_a_bad_row(good: pl.DataFrame):
    (failure,) = validate_frame(
        TABLE,
        good.with_columns(
            pl.when(pl.col("name") == "n7").then(11).otherwise("count").alias("count")
        ),
    )
    assert failure.example is not None
    assert failure.example["name"] == "n7"
    assert failure.example["at"] == "2013-01-01T07:00:00+00:00"
    assert (
        failure.sentence
        == "raw/things.count: range: expected between 0.0 and 9.0, observed 1 of 20 rows (5.00%),"
        " values 11 to 11"
    )


def test_a_key_of_two_columns_must_be_unique(good: pl.DataFrame):
    (failure,) = validate_frame(TABLE, pl.concat([good, good.head(1)]))
    assert (failure.rule, failure.observed[:10]) == ("unique key", "2 of 21 ro")


def test_a_key_of_one_column_must_be_unique(good: pl.DataFrame):
    single = Table.model_validate(TABLE.model_dump() | {"key": ("name",)})
    (failure,) = validate_frame(single, good.with_columns(broken("name", "n5")))
    assert (failure.part, failure.rule) == ("name", "unique key")


def test_an_infinite_number_is_no_number(good: pl.DataFrame):
    bounded = Table.model_validate(
        TABLE.model_dump()
        | {
            "columns": [{"name": "size", "type": "number", "maximum": 5}],
            "key": (),
            "time_column": None,
        }
    )
    (failure,) = validate_frame(bounded, good.select(broken("size", float("inf"))))
    assert failure.rule == "type"
    assert failure.example == {"size": "inf"}
    assert "Deliver null where there is no number" in str(failure.observed)


def test_rows_outside_the_window_are_refused_at_both_ends(good: pl.DataFrame):
    inside = Interval(START, START + timedelta(hours=20))
    assert validate(TABLE, good, window=inside).failures == []
    without_last = Interval(START, START + timedelta(hours=19))
    assert [failure.rule for failure in validate(TABLE, good, window=without_last).failures] == [
        "window"
    ]
    without_first = Interval(START + timedelta(hours=1), inside.end)
    (failure,) = validate(TABLE, good, window=without_first).failures
    assert failure.example is not None
    assert failure.example["name"] == "n0"


def test_the_least_number_of_rows_can_be_scaled(good: pl.DataFrame):
    assert validate(TABLE, good.head(2), minimum_rows=2).failures == []


def test_great_expectations_judges_every_rule(good: pl.DataFrame):
    result = validate(TABLE, good).result
    assert result["success"] is True
    assert len(result["results"]) == 2 + 6 * 2 + 3 + 1


CONSISTENT = RowRule(
    name="big things are open", columns=("size", "open"), holds="(size > 1) = open"
)


def ruled(*rules: RowRule) -> Table:
    return Table.model_validate(
        TABLE.model_dump() | {"row_rules": [rule.model_dump() for rule in rules]}
    )


def test_a_row_that_contradicts_itself_is_refused(good: pl.DataFrame):
    consistent = good.with_columns(pl.when(pl.col("open")).then(2.0).otherwise(0.5).alias("size"))
    assert validate_frame(ruled(CONSISTENT), consistent) == []
    (failure,) = validate_frame(ruled(CONSISTENT), consistent.with_columns(broken("size", 0.9)))
    assert (failure.part, failure.rule) == ("", "row rule")
    assert failure.observed == "1 of 20 rows (5.00%)"
    assert failure.example is not None
    assert failure.example["name"] == "n0"
    assert "(size > 1) = open" in failure.limit


def test_a_row_rule_is_unknown_where_a_value_is_null_and_waits_for_its_columns(good: pl.DataFrame):
    unknown = good.with_columns(
        size=pl.when(pl.int_range(pl.len()) < 2).then(None).when("open").then(2.0).otherwise(0.5)
    )
    assert validate_frame(ruled(CONSISTENT), unknown) == []
    assert [failure.rule for failure in validate_frame(ruled(CONSISTENT), good.drop("size"))] == [
        "columns"
    ]
    assert [
        failure.rule
        for failure in validate_frame(ruled(CONSISTENT), good.with_columns(open=pl.lit("yes")))
    ] == ["type"]


def test_a_row_rule_may_be_broken_in_a_declared_share(good: pl.DataFrame):
    lenient = CONSISTENT.model_copy(update={"max_broken_share": 0.5})
    assert validate_frame(ruled(lenient), good) == []
    strict = CONSISTENT.model_copy(update={"max_broken_share": 0.49})
    assert [failure.rule for failure in validate_frame(ruled(strict), good)] == ["row rule"]


def test_a_condition_that_cannot_be_evaluated_refuses(good: pl.DataFrame):
    (failure,) = validate_frame(
        ruled(RowRule(name="nonsense", columns=("size", "name"), holds="size > name")), good
    )
    assert "the check could not be made" in failure.observed


@pytest.mark.parametrize(
    ("columns", "holds", "told"),
    [
        (("size",), "size >", "no condition in SQL"),
        (
            ("size",),
            "size > 1 AND open",
            "reads \\['open', 'size'\\], but columns declares \\['size'\\]",
        ),
        (("size",), "1 = 1", "reads \\[\\], but columns declares"),
        (("length",), "length > 1", "reads .length.; valid: "),
    ],
)
def test_a_row_rule_is_a_condition_on_the_columns_of_its_table(
    columns: tuple[str, ...], holds: str, told: str
):
    with pytest.raises((ValueError, SpecError), match=told):
        declared_rules(ruled(RowRule(name="bad", columns=columns, holds=holds)))


def heard(after: timedelta = timedelta(0)) -> Table:
    """The table with the moment that its rows speak of, in a column whose name must be quoted."""
    happened = Column(name='when "it" was', type="timestamp", max_null_share=0.5)
    return TABLE.model_copy(
        update={
            "columns": (*TABLE.columns, happened),
            "happens_at": happened.name,
            "known_after": after,
        }
    )


@pytest.mark.parametrize(
    ("after", "minutes", "passes"),
    [
        (timedelta(0), 0, True),
        (timedelta(0), -1, False),
        (timedelta(hours=3), 180, True),
        (timedelta(hours=3), 179, False),
        (timedelta(milliseconds=500), 0, False),
    ],
)
def test_a_row_that_is_known_before_it_can_be_is_refused(
    good: pl.DataFrame, after: timedelta, minutes: int, passes: bool
):
    lag = pl.when(pl.int_range(pl.len()) == 3).then(minutes).otherwise(600)
    rows = good.with_columns((pl.col("at") - pl.duration(minutes=lag)).alias('when "it" was'))
    failures = validate_frame(heard(after), rows)
    assert [(failure.rule, failure.part) for failure in failures] == (
        [] if passes else [("known before it happened", "")]
    )
    if not passes:
        assert failures[0].observed == "1 of 20 rows (5.00%)"
        assert failures[0].example is not None
        assert failures[0].example["name"] == "n3"


def test_a_moment_that_is_missing_is_not_judged(good: pl.DataFrame):
    rows = good.with_columns(pl.when(pl.int_range(pl.len()) > 9).then("at").alias('when "it" was'))
    assert validate_frame(heard(), rows) == []
