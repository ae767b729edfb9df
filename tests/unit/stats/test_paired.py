from __future__ import annotations

import numpy as np
import pytest

from include.stats.paired import paired_bootstrap


def test_with_a_row_per_cluster_the_interval_is_that_of_the_normal_approximation():
    differences = np.random.default_rng(1).normal(0.02, 0.1, 4000)
    found = paired_bootstrap(differences, np.arange(4000), seed=1)
    error = differences.std(ddof=1) / np.sqrt(4000)
    assert found.mean == pytest.approx(differences.mean())
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.2 * error)
    assert found.clusters == 4000


def test_rows_that_move_together_by_day_widen_the_interval():
    random = np.random.default_rng(2)
    days = np.repeat(np.arange(14), 500)
    differences = random.normal(0, 0.05, 14)[days] + random.normal(0, 0.01, len(days))
    by_day, by_row = (
        paired_bootstrap(differences, clusters, seed=1) for clusters in (days, np.arange(len(days)))
    )
    assert by_day.high - by_day.low > 5 * (by_row.high - by_row.low)


def test_the_same_seed_gives_the_same_interval():
    differences, days = np.random.default_rng(3).normal(size=300), np.repeat(np.arange(10), 30)
    assert paired_bootstrap(differences, days, seed=4) == paired_bootstrap(
        differences, days, seed=4
    )
    assert paired_bootstrap(differences, days, seed=4) != paired_bootstrap(
        differences, days, seed=5
    )
