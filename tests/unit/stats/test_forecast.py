"""A forecast's bounds hold as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from include.stats.forecast import forecast


def test_a_steady_growth_goes_on_and_its_bounds_are_narrow():
    values = [2.0 * 1.1**place for place in range(8)]
    ahead = forecast(values, 2)
    assert [item.value for item in ahead] == pytest.approx([2.0 * 1.1**8, 2.0 * 1.1**9])
    assert ahead[0].high / ahead[0].low == pytest.approx(1.0)


def test_nine_of_ten_next_values_lie_within_the_bounds():
    random = np.random.default_rng(5)
    inside = 0
    for _ in range(1_000):
        values = np.exp(0.05 * np.arange(9) + 0.2 * random.normal(size=9))
        (item,) = forecast(values[:8].tolist(), 1)
        inside += item.low <= values[8] <= item.high
    assert 870 <= inside <= 930


def test_later_values_are_known_less_well():
    random = np.random.default_rng(6)
    ahead = forecast(np.exp(random.normal(size=6)).tolist(), 3)
    widths = [item.high / item.low for item in ahead]
    assert widths == sorted(widths)
    assert widths[0] > 2.0


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0, 3.0, 4.0], []])
def test_too_few_values_and_nothing_that_grows_have_no_forecast(values):
    assert forecast(values, 1) == []
