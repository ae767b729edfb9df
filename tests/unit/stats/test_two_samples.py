"""Two samples of many columns: p-values that are what they say, and changes that are met."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from include.stats.binning import bin_categories, bin_numbers, hellinger
from include.stats.two_samples import MOST_BLOCKS, Sample, adjusted, compare, merged_blocks
from include.stats.two_samples import threshold as threshold_of

RANDOM_STATE = 5


def numbers(rows: int, random: np.random.Generator, block: int = 0) -> Sample:
    columns = {}
    for place in range(10):
        values = random.normal(size=rows)
        if block:
            values = np.repeat(random.normal(size=rows // block), block) + values
        columns[f"c{place}"] = values
    return Sample(columns, frozenset(), np.arange(rows) // block if block else None)


@pytest.mark.parametrize("block", [0, 20])
def test_p_values_are_uniform_without_a_change(block):
    random, values = np.random.default_rng(RANDOM_STATE), []
    for seed in range(40):
        compared = compare(
            numbers(400, random, block), numbers(600, random, block), smallest_p=1e-3, seed=seed
        )
        values += [one.p for one in compared.values()]
    for level in (0.05, 0.2, 0.5):
        share = np.mean(np.array(values) <= level)
        assert share == pytest.approx(level, abs=4 * np.sqrt(level / len(values)))


def test_rows_that_share_a_cause_need_their_blocks():
    """Without the blocks chance looks like a change, which is what the blocks are for."""
    random = np.random.default_rng(RANDOM_STATE)
    ours, others = numbers(1_000, random, 20), numbers(1_000, random, 20)
    single = [Sample(side.columns, side.categories) for side in (ours, others)]
    wrong = compare(*single, smallest_p=1e-3, seed=1)
    right = compare(ours, others, smallest_p=1e-3, seed=1)
    assert min(one.p for one in wrong.values()) < 0.001
    assert min(one.p for one in right.values()) > 0.005


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values + 0.3,
        lambda values: values * 1.5,
        lambda values: np.where(np.arange(len(values)) % 25 == 0, np.nan, values),
        lambda values: np.where(np.abs(values) < 0.3, 0.0, values) + 0.0,
        lambda values: np.where(np.arange(len(values)) % 20 == 0, -999.0, values),
    ],
    ids=["mean", "scale", "nulls", "a heap", "sentinel"],
)
def test_what_moves_is_met(change):
    random = np.random.default_rng(RANDOM_STATE)
    ours, others = numbers(1_500, random), numbers(3_000, random)
    moved = Sample({**ours.columns, "c0": change(ours.columns["c0"])}, frozenset())
    compared = compare(moved, others, smallest_p=1e-4, seed=1)
    assert compared["c0"].p < 1e-3
    assert min(one.p for name, one in compared.items() if name != "c0") > 1e-3


@pytest.mark.slow
def test_a_shifted_mean_is_met_about_as_soon_as_by_a_test_of_means_alone():
    random, ours, usual = np.random.default_rng(RANDOM_STATE), 0, 0
    for seed in range(60):
        left = Sample({"x": random.normal(0.15, size=1_000)}, frozenset())
        right = Sample({"x": random.normal(size=1_000)}, frozenset())
        ours += compare(left, right, smallest_p=1e-2, seed=seed)["x"].p < 0.01
        usual += mannwhitneyu(left.columns["x"], right.columns["x"]).pvalue < 0.01
    assert usual > 30
    assert ours >= 0.75 * usual


def test_categories_are_compared_by_their_shares():
    random = np.random.default_rng(RANDOM_STATE)
    left, right = (
        Sample({"c": random.choice(3, p=shares, size=2_000).astype(float)}, frozenset({"c"}))
        for shares in ([0.5, 0.3, 0.2], [0.5, 0.24, 0.26])
    )
    one = compare(left, right, smallest_p=1e-3, seed=1)["c"]
    assert one.p < 0.001
    assert one.effect == pytest.approx(0.05, abs=0.025)


def test_more_categories_than_bins_become_one():
    codes = np.arange(200.0).repeat(3)
    binned = bin_categories(codes, codes)
    assert binned.bins == 52
    assert binned.serving.max() == 50


def test_a_column_without_values_does_not_move():
    empty = Sample({"x": np.full(500, np.nan), "y": np.ones(500)}, frozenset())
    compared = compare(empty, empty, smallest_p=1e-3, seed=1)
    assert [(one.p, one.effect) for one in compared.values()] == [(1.0, 0.0), (1.0, 0.0)]


def test_a_point_mass_has_a_bin_of_its_own():
    rain = np.concatenate([np.zeros(900), np.linspace(0.01, 2.0, 100)])
    binned = bin_numbers(rain, rain)
    assert len(set(binned.serving[:900])) == 1
    assert not set(binned.serving[:900]) & set(binned.serving[900:])


def test_so_few_blocks_decide_nothing():
    random = np.random.default_rng(RANDOM_STATE)
    few = numbers(100, random, 25)
    assert compare(few, few, smallest_p=1e-3, seed=1) is None


def test_many_blocks_are_merged_with_their_neighbours():
    merged = merged_blocks(np.arange(10_000) // 3)
    assert merged.max() == MOST_BLOCKS - 1
    assert (np.diff(merged) >= 0).all()


def test_the_least_p_value_is_where_the_correction_lies():
    p = np.ones(40)
    p[7] = threshold_of(0.02, 40)
    assert adjusted(p)[7] == pytest.approx(0.02)


def test_hellinger_of_a_shifted_normal_is_a_third_of_the_shift():
    random = np.random.default_rng(RANDOM_STATE)
    binned = bin_numbers(random.normal(0.5, size=100_000), random.normal(size=100_000))
    shares = [
        np.bincount(side, minlength=binned.bins) / 100_000
        for side in (binned.serving, binned.reference)
    ]
    assert hellinger(*shares) == pytest.approx(0.176, abs=0.01)
