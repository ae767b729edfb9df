from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from include.quality.profiles import POINTS, Profile, new_share, pool, profile, psi, shift

RANDOM = np.random.default_rng(7)


def number(values: np.ndarray) -> Profile:
    found = profile(pl.Series("x", values))
    assert found is not None
    return found


def text(values: list[str | None]) -> Profile:
    found = profile(pl.Series("x", values, dtype=pl.String))
    assert found is not None
    return found


def test_a_profile_is_small_and_survives_json():
    kept = number(RANDOM.normal(10, 2, 100_000))
    assert len(kept.values) == POINTS
    assert kept.present == pytest.approx(100_000)
    assert kept.mean == pytest.approx(10, abs=0.05)
    assert Profile.from_json(kept.as_json()) == kept


def test_missing_and_infinite_values_count_as_nulls():
    kept = number(np.array([1.0, np.nan, np.inf, 2.0]))
    assert (kept.rows, kept.nulls, kept.null_share, kept.values) == (4, 2, 0.5, (1.0, 2.0))
    assert text(["a", None, "a"]).null_share == pytest.approx(1 / 3)


def moments(hours: np.ndarray) -> Profile:
    at = datetime(2024, 3, 1, tzinfo=UTC)
    day = RANDOM.integers(0, 31, len(hours))
    pairs = zip(day, hours, strict=True)
    made = profile(pl.Series([at + timedelta(days=int(d), hours=int(h)) for d, h in pairs]))
    assert made is not None
    return made


def test_moments_are_compared_by_the_hour_of_the_day():
    open_hours = RANDOM.integers(9, 18, 3000)
    shop = moments(open_hours)
    assert psi(shop, moments(RANDOM.integers(9, 18, 3000))) < 0.05
    assert psi(shop, moments(open_hours + 1)) < 0.05, "daylight saving"
    assert psi(shop, moments(open_hours + 5)) > 1.0
    assert psi(shop, moments(open_hours - 6)) > 1.0
    assert shift(shop, moments(open_hours + 5)) == 0.0
    assert Profile.from_json(shop.as_json()) == shop


def test_the_hour_of_a_batch_says_nothing():
    nightly = moments(np.full(2000, 3))
    assert psi(nightly, moments(np.full(2000, 9))) == 0.0


def test_the_same_distribution_is_near_and_the_sample_size_does_not_matter():
    for rows in (2_000, 200_000):
        old, new = number(RANDOM.normal(0, 1, rows)), number(RANDOM.normal(0, 1, rows))
        assert psi(old, new) < 0.03
        assert shift(old, new) < 0.1


def test_shift_is_the_distance_in_standard_deviations():
    old = number(RANDOM.normal(0, 2, 50_000))
    assert shift(old, number(RANDOM.normal(6, 2, 50_000))) == pytest.approx(3.0, abs=0.05)


def test_a_rare_part_is_compared_apart_from_the_value_that_dominates():
    rain = np.where(np.arange(20_000) % 20 == 0, RANDOM.exponential(0.1, 20_000), 0.0)
    assert psi(number(rain), number(np.roll(rain, 1))) < 0.05
    assert psi(number(rain), number(rain * 10)) > 2.0
    assert shift(number(rain), number(rain * 10)) > 2.0


def test_few_rows_beside_a_dominant_value_are_not_judged_by_themselves():
    """One booking with two babies of 1,025, where the other five had one each."""
    before = number(np.array([0.0] * 1015 + [1.0] * 5))
    now = number(np.array([0.0] * 1020 + [1.0] * 4 + [2.0]))
    assert shift(before, now) == np.inf
    assert shift(before, now, least=1000) < 0.1
    assert psi(before, now, least=1000) < 0.01
    # Many of them that moved are still far.
    assert shift(before, number(np.array([0.0] * 520 + [2.0] * 505)), least=1000) > 1.0
    assert psi(before, number(np.array([0.0] * 520 + [2.0] * 505)), least=1000) > 1.0


def test_a_constant_that_moves_is_infinitely_far():
    assert shift(number(np.full(100, 3.0)), number(np.full(100, 3.0))) == 0.0
    assert psi(number(np.full(100, 3.0)), number(np.full(100, 4.0))) > 5.0


def test_text_is_compared_over_all_values():
    old, new = text(["a"] * 500 + ["b"] * 500), text(["a"] * 900 + ["b"] * 100)
    assert psi(old, new) == pytest.approx(0.4 * np.log(1.8) + 0.4 * np.log(5), rel=1e-6)


def test_what_is_new_is_measured_against_what_rare_values_make_likely():
    old = text(["a"] * 90 + [f"once{number}" for number in range(10)])
    assert new_share(old, text(["a"] * 8 + ["z", "y"])) == (0.2, pytest.approx(0.1))


def test_pooling_is_the_profile_of_all_rows():
    parts = [text(["a", "b", None]), text(["b", "c"])]
    assert pool(parts) == text(["a", "b", None, "b", "c"])
    left, right = RANDOM.normal(0, 1, 5_000), RANDOM.normal(3, 1, 15_000)
    assert psi(number(np.concatenate([left, right])), pool([number(left), number(right)])) < 0.01
