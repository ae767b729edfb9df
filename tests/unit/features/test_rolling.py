"""Rolling means are those counted by hand, whichever interval computes them; none looks ahead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from include.features.rolling import STAMP, rolling_means
from include.interval import Interval

START = datetime(2024, 1, 1, tzinfo=UTC)
LOOK_BACK = timedelta(days=10)
STEPS = {"1h": timedelta(hours=1), "1d": timedelta(days=1)}


def at(days: float) -> datetime:
    return START + timedelta(days=days)


def events() -> pl.DataFrame:
    """Some events a day for two shops over forty days, by no pattern; prices of no short binary
    form, some of them null.
    """
    rows = [
        {
            "shop": "ab"[number % 2],
            "known_at": at(number * 0.37 % 40),
            "sold": number % 3 == 0,
            "price": None if number % 11 == 0 else number * 7 % 13 / 10 + 10 ** (number % 9),
        }
        for number in range(400)
    ]
    frame = pl.DataFrame(rows).with_columns(pl.col("sold").cast(pl.Int64))
    return frame.with_columns(pl.col("known_at").dt.cast_time_unit("us"))


def means(
    frame: pl.DataFrame,
    interval: Interval,
    every: str = "1d",
    windows: Mapping[str, int] | None = None,
) -> pl.DataFrame:
    return rolling_means(
        frame,
        ["shop"],
        {"sold_rate": "sold", "price": "price"},
        moment="known_at",
        every=every,
        windows=windows or {"1": 1, "7": 7},
        interval=interval,
        look_back=LOOK_BACK,
        count="sales",
    )


@pytest.mark.parametrize("every", ["1d", "1h"])
def test_every_row_is_what_was_counted_by_hand(every: str):
    frame, interval = events(), Interval(at(20), at(22))
    rows = means(frame, interval, every)
    assert rows[STAMP].min() == at(20) + STEPS[every]
    assert rows[STAMP].max() == at(22)
    for row in rows.iter_rows(named=True):
        for label, size in (("1", 1), ("7", 7)):
            since = row[STAMP] - size * STEPS[every]
            part = frame.filter(
                pl.col("shop") == row["shop"],
                pl.col("known_at") >= since,
                pl.col("known_at") < row[STAMP],
            )
            assert row[f"sales_{label}"] == part.height
            for name, column in (("sold_rate", "sold"), ("price", "price")):
                mean = part[column].mean()
                expected = None if mean is None else pytest.approx(mean, rel=1e-12)
                assert row[f"{name}_{label}"] == expected


@pytest.mark.slow
@pytest.mark.parametrize("hours", [1, 7, 24, 30])
def test_short_intervals_make_the_same_rows_as_a_long_one_bit_for_bit(hours: int):
    whole, parts, start = Interval(at(15), at(25)), [], at(15)
    while start < whole.end:
        end = min(start + timedelta(hours=hours), whole.end)
        # Whatever order the rows lie in.
        parts.append(means(events().sample(fraction=1.0, shuffle=True), Interval(start, end)))
        start = end
    together = pl.concat(parts).sort("shop", STAMP)
    assert together.equals(means(events(), whole).sort("shop", STAMP))


def test_what_becomes_known_at_a_stamp_or_later_changes_nothing():
    interval = Interval(at(20), at(22))
    before = events().filter(pl.col("known_at") < interval.end)
    later = pl.DataFrame(
        {
            "shop": ["a", "b"],
            "known_at": pl.Series([interval.end, at(39)], dtype=before.schema["known_at"]),
            "sold": [1, 1],
            "price": [1e9, 1e9],
        }
    )
    assert means(pl.concat([before, later]), interval).equals(means(before, interval))


def test_a_key_has_rows_while_it_had_an_event_in_the_look_back():
    frame = events().filter((pl.col("shop") == "a") | (pl.col("known_at") < at(10)))
    last = frame.filter(pl.col("shop") == "b")["known_at"].max()
    rows = means(frame, Interval(at(9), at(30))).filter(pl.col("shop") == "b")
    assert rows[STAMP].max() <= last + LOOK_BACK + STEPS["1d"]
    idle = rows.filter(pl.col("sales_7") == 0)
    assert idle.height > 0
    assert idle["sold_rate_7"].null_count() == idle.height


def test_an_event_without_a_key_counts_for_nobody():
    nobody = events().with_columns(pl.lit(None, dtype=pl.String).alias("shop"))
    interval = Interval(at(20), at(22))
    assert means(pl.concat([events(), nobody]), interval).equals(means(events(), interval))
    assert means(nobody, interval).is_empty()


def test_a_window_beyond_the_look_back_is_refused():
    with pytest.raises(ValueError, match="window '11' is 11 times 1d; valid: 1 to 10"):
        means(events(), Interval(at(20), at(22)), windows={"11": 11})
