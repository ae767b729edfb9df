from __future__ import annotations

import numpy as np
import pytest

from include.stats.bootstrap import binned_interval, bootstrap_intervals
from include.stats.metrics import brier, calibration_error, log_loss, roc_auc

DAYS, PER_DAY = 25, 40


def drawn(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    chance = random.beta(1, 3, DAYS * PER_DAY)
    labels = (random.uniform(size=chance.size) < chance).astype(np.int64)
    return labels, np.round(chance, 2), np.repeat(np.arange(DAYS), PER_DAY)


def test_the_intervals_are_those_of_resampling_whole_days_row_by_row():
    labels, scores, days = drawn()
    found = bootstrap_intervals(labels, scores, days, seed=3, resamples=200)
    weights = np.random.default_rng(3).multinomial(DAYS, np.full(DAYS, 1 / DAYS), size=200)
    by_hand: dict[str, list[float]] = {"auc": [], "brier": [], "logloss": []}
    for counts in weights:
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(days == day), times) for day, times in enumerate(counts)]
        )
        by_hand["auc"].append(roc_auc(labels[rows], scores[rows]))
        by_hand["brier"].append(brier(labels[rows], scores[rows]))
        by_hand["logloss"].append(log_loss(labels[rows], scores[rows]))
    for metric, values in by_hand.items():
        assert (found[metric].low, found[metric].high) == pytest.approx(
            tuple(np.percentile(values, [2.5, 97.5]))
        )
        assert found[metric].clusters == DAYS


def test_the_interval_holds_the_metric_and_the_same_seed_gives_it_again():
    labels, scores, days = drawn()
    found = bootstrap_intervals(labels, scores, days, seed=1)
    assert found["auc"].low < roc_auc(labels, scores) < found["auc"].high
    assert bootstrap_intervals(labels, scores, days, seed=1) == found


def test_rows_that_stick_together_make_the_interval_wider():
    labels, scores, days = drawn()
    order = np.argsort(labels, kind="stable")  # every day is now nearly of one class
    apart = bootstrap_intervals(labels, scores, days, seed=1)["brier"]
    together = bootstrap_intervals(labels[order], scores[order], days, seed=1)["brier"]
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_one_class_has_no_auc_and_one_day_has_no_interval():
    labels, scores, days = drawn()
    assert set(bootstrap_intervals(np.zeros_like(labels), scores, days, seed=1)) == {
        "brier",
        "logloss",
    }
    assert bootstrap_intervals(labels, scores, np.zeros_like(days), seed=1) == {}


def honest(random: np.random.Generator, rows: int = 275) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the scores themselves: there are no better probabilities."""
    scores = random.beta(1, 2, rows)
    return (random.uniform(size=rows) < scores).astype(np.int64), scores


def test_the_upper_end_of_a_calibration_error_holds_that_of_another_honest_sample():
    random = np.random.default_rng(7)
    above = tenth_above = 0
    for _ in range(200):
        labels, scores = honest(random)
        days = np.arange(len(labels)) // 5
        interval = binned_interval(scores - labels, scores, days, bins=10, seed=1)
        other = calibration_error(*honest(random))
        assert interval is not None
        above += other > interval.high
        tenth_above += other > 1.1 * calibration_error(labels, scores)
    assert above <= 10
    assert tenth_above > 50  # what a tenth more than one value would have refused


def test_groups_that_a_resample_leaves_empty_and_a_single_day_are_borne():
    scores = np.linspace(0.1, 0.9, 40)
    labels = (scores > 0.5).astype(np.int64)
    days = np.arange(40) // 4
    largest = binned_interval(scores - labels, scores, days, bins=10, seed=1, largest=True)
    assert largest is not None
    assert 0.0 < largest.low <= largest.high < 1.0
    assert binned_interval(scores - labels, scores, np.zeros(40), bins=10, seed=1) is None
