from __future__ import annotations

import numpy as np
import pytest

from include.stats.bootstrap import bootstrap_intervals
from include.stats.metrics import brier, log_loss, roc_auc

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
