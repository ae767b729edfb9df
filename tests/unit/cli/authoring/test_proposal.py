"""What is proposed of a source's rows is what the rows say."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cli.authoring.cadence import cadence
from cli.authoring.profile import profile
from cli.authoring.proposal import problem, roles
from include.errors import DataError
from tests.unit.cli.authoring.orders import orders

ROWS = orders(2000)


def limits(frame: pl.DataFrame, label: str) -> dict[str, float]:
    return {limit.name: limit.value for limit in problem(profile(frame, texts=False), label).limits}


def test_text_of_a_csv_file_has_the_type_that_holds_every_value():
    texts = ROWS.with_columns(
        pl.format("{}", pl.col("items").cast(pl.String).str.zfill(3)).alias("code"),
        pl.col("ordered_at").dt.strftime("%Y-%m-%d %H:%M"),
        pl.col("due_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    ).select(pl.all().cast(pl.String))
    columns = {column.name: column for column in profile(texts, texts=True).columns}
    assert {name: column.type for name, column in columns.items()} == {
        "order_id": "string",
        "ordered_at": "timestamp",
        "shop": "string",
        "size": "number",
        "items": "integer",
        "express": "boolean",
        "channel": "string",
        "note": "string",
        "due_at": "timestamp",
        "late": "integer",
        "price": "number",
        "grade": "string",
        "code": "string",
    }
    assert (columns["ordered_at"].zoneless, columns["due_at"].zoneless) == (True, False)
    assert columns["size"].null_share == ROWS["size"].null_count() / ROWS.height
    assert columns["size"].maximum == ROWS["size"].max()


def test_roles_are_proposed_and_may_be_named():
    measured = profile(ROWS, texts=False)
    proposed = roles(measured, label="late", time="ordered_at", key=None, entity=None)
    assert (proposed.key, proposed.entity) == ("order_id", "shop")
    assert [column.name for column in proposed.others] == ["note"]
    named = roles(measured, label="late", time="ordered_at", key="note", entity="channel")
    assert (named.key, named.entity) == ("note", "channel")


def days(count: int, hours: int = 24) -> pl.DataFrame:
    """Every so many hours a row, over that many days."""
    start = datetime(2010, 1, 1, tzinfo=UTC)
    times = pl.datetime_range(
        start, start + timedelta(days=count), f"{hours}h", time_zone="UTC", eager=True
    )
    return pl.DataFrame({"at": times.cast(pl.Datetime("us", "UTC"))})


def test_of_a_time_only_what_differs_becomes_an_input():
    whole_days, hours = profile(days(800), texts=False), profile(days(100, 1), texts=False)
    weeks = profile(days(1500, 24 * 7), texts=False)
    assert whole_days.calendar("at") == ["weekday", "month"]
    assert hours.calendar("at") == ["hour", "weekday"]
    assert weeks.calendar("at") == ["month"]


def test_whom_rows_are_about_is_an_input_only_where_it_comes_again():
    rows = (
        days(400)
        .with_row_index("row")
        .with_columns(
            (pl.col("row") % 7).cast(pl.String).alias("shop"),
            (pl.col("row") // 7).cast(pl.String).alias("storm"),
        )
    )
    measured = profile(rows, texts=False)
    assert measured.recurs("shop", "at")
    assert not measured.recurs("storm", "at")


def test_text_whose_values_do_not_come_again_is_no_input():
    voyages = pl.format("voyage {}", pl.int_range(pl.len()) // 50)
    rows = ROWS.sort("ordered_at").with_columns(
        voyages.alias("voyage"),
        pl.when(pl.int_range(pl.len()) > 1500).then(None).otherwise(pl.lit("a")).alias("ended"),
    )
    proposed = roles(
        profile(rows, texts=False), label="late", time="ordered_at", key=None, entity="shop"
    )
    assert [column.name for column in proposed.others] == ["note", "voyage"]
    assert {"ended", "channel"} <= {column.name for column in proposed.requested}


def in_season(season: pl.Expr, years: int, hours: int) -> pl.DataFrame:
    """Rows of some years, of which all but those of a season are left out."""
    return days(365 * years, hours).filter(season)


def test_intervals_are_so_long_that_none_is_empty():
    summers = pl.col("at").dt.month().is_between(6, 9)
    yearly = cadence(profile(in_season(summers, 5, 1), texts=False), "at")
    assert (yearly.cron, yearly.ttl_days) == ("@yearly", 369)
    assert "of @monthly have no rows, the first from 2010-10-01" in yearly.reason
    workdays = pl.col("at").dt.weekday() < 6
    busy = days(60, 1).filter(workdays)
    weekly = cadence(profile(pl.concat([busy] * 50), texts=False), "at")
    assert (weekly.cron, weekly.ttl_days) == ("@weekly", 10)
    assert cadence(profile(days(400, 1), texts=False), "at").cron == "@monthly"


def test_the_smallest_of_several_intervals_says_how_few_rows_one_may_have():
    more = days(400, 1).filter((pl.col("at").dt.month() != 3) | (pl.col("at").dt.day() < 20))
    several = cadence(profile(more, texts=False), "at")
    assert (several.cron, several.fewest_rows) == ("@monthly", 19 * 24)
    few = cadence(profile(days(100, 1), texts=False), "at")
    assert (few.cron, few.fewest_rows) == ("@monthly", 0)


def test_where_no_interval_is_long_enough_the_refusals_are_foretold():
    summers = pl.col("at").dt.month().is_between(6, 9)
    short = cadence(profile(in_season(summers, 2, 1), texts=False), "at")
    assert short.cron == "@monthly"
    assert "of @monthly have no rows, the first from 2010-10-01: those will be refused" in (
        short.reason
    )


def test_few_rows_over_many_years_get_yearly_intervals_and_a_window_that_holds_enough():
    scarce = cadence(profile(days(7300, 12), texts=False), "at")
    assert (scarce.cron, scarce.window_days) == ("@yearly", 2500)
    assert scarce.start == datetime(2010, 1, 1, tzinfo=UTC)
    short = cadence(profile(days(1000, 12), texts=False), "at")
    assert (short.cron, short.window_days) == ("@monthly", 500)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"label": "lat"}, "--label is 'lat', no column of the source; did you mean 'late'"),
        ({"time": "shop"}, "--time is 'shop', which holds string"),
        ({"key": "shop"}, "--key is 'shop', string with 8 values in 2000 rows"),
        ({"entity": "size"}, "--entity is 'size', number with"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_figure(options, text):
    chosen = {"label": "late", "time": "ordered_at", "key": None, "entity": None, **options}
    with pytest.raises(DataError, match=text):
        roles(profile(ROWS, texts=False), **chosen)


def test_limits_are_those_of_an_answer_without_a_model():
    rate = ROWS["late"].mean()
    binary = limits(ROWS, "late")
    assert rate * (1 - rate) <= binary["max_brier"] <= rate * (1 - rate) + 0.01
    shares = [count / ROWS.height for count in ROWS["grade"].value_counts()["count"].to_list()]
    several = limits(ROWS, "grade")
    entropy = -sum(share * math.log(share) for share in shares)
    assert entropy <= several["max_logloss"] <= entropy + 0.1
    assert max(shares) - 0.01 <= several["min_accuracy"] <= max(shares)
    number = limits(ROWS, "price")
    assert ROWS["price"].std() <= number["max_rmse"] <= ROWS["price"].std() * 1.1
    assert problem(profile(ROWS, texts=False), "express").kind == "Binary"


def test_a_label_that_is_no_problem_is_refused():
    said = pl.when(pl.col("late") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))
    two = ROWS.with_columns(said.alias("said"))
    for frame, label, text in (
        (two, "said", "string with 2 values.*make 0 and 1 first"),
        (ROWS, "order_id", "string with 2000 values"),
        (ROWS.with_columns(pl.lit(7.5).alias("same")), "same", "one value in every row"),
    ):
        with pytest.raises(DataError, match=text):
            problem(profile(frame, texts=False), label)
    with pytest.raises(DataError, match="has 100 rows; with fewer than 200"):
        profile(ROWS[:100], texts=False)


@pytest.mark.parametrize(
    ("rows", "cron"), [(200_000, "@daily"), (30_000, "@weekly"), (2000, "@monthly")]
)
def test_an_interval_holds_enough_rows_to_be_compared(rows, cron):
    times = orders(200).select("ordered_at")["ordered_at"]
    many = pl.concat([times] * (rows // 200)).sort().to_frame()
    proposed = cadence(profile(many, texts=False), "ordered_at")
    assert proposed.cron == cron
    assert proposed.start <= times[0]
    assert proposed.beyond == (many["ordered_at"] >= proposed.end).sum()
