"""Standard errors of rows in blocks: those of resampling whole blocks, and of independent rows
where each is a block of its own.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from include.monitoring.certainty import auc_standard_error
from include.stats.bootstrap import auc_resamples, mean_resamples, resampled_clusters
from include.stats.clustered import StandardError, auc_error, block_errors, mean_error
from include.stats.metrics import roc_auc
from proofs.bench.monitoring.labels import LabelledSetting, draw_labels

SETTING = LabelledSetting(blocks=120, rows=60, effect=1.0)


def test_the_errors_are_those_of_resampling_whole_blocks():
    labels, scores, blocks = draw_labels(120, SETTING, np.random.default_rng(2))
    member, drawn = resampled_clusters(blocks, seed=1, resamples=1500)
    aucs = auc_resamples(labels, scores, member, drawn)
    gaps = mean_resamples(scores - labels, member, drawn)
    assert auc_error(labels, scores, blocks).value == pytest.approx(aucs.std(), rel=0.08)
    assert mean_error(scores - labels, blocks).value == pytest.approx(gaps.std(), rel=0.08)
    assert (
        mean_error(scores - labels, blocks).value
        > 3 * mean_error(scores - labels, np.arange(len(labels))).value
    )


def test_of_blocks_of_one_row_the_auc_has_the_error_of_independent_rows():
    """Exponential scores: the model for which Hanley and McNeil's formula is derived."""
    random = np.random.default_rng(5)
    labels = (np.arange(6_000) % 3 == 0).astype(np.float64)
    scores = random.exponential(1.0 + labels)
    known = auc_standard_error({"auc": 2 / 3, "n": 6_000, "observed_rate": 1 / 3})
    found = auc_error(labels, scores, np.arange(6_000))
    assert found.value == pytest.approx(known, rel=0.03)
    assert found.freedom == 5_999


def test_ties_count_half_in_the_placements():
    labels = np.array([1.0, 0.0, 1.0, 0.0])
    scores = np.array([0.5, 0.5, 0.9, 0.1])
    placements = [0.75, 0.75, 1.0, 1.0]  # of a negative the share of positives above it
    auc = roc_auc(labels, scores)
    influence = [(value - auc) / 2.0 for value in placements]
    expected = math.sqrt(4 / 3 * sum(value**2 for value in influence))
    assert auc_error(labels, scores, np.arange(4)).value == pytest.approx(expected)


def test_what_one_block_or_one_class_cannot_say_is_left_out():
    values, labels = np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.0, 1.0])
    assert block_errors({"gap": values}, np.zeros(3), (labels, values)) == {"blocks": 1.0}
    two = block_errors({"gap": values}, np.array([0, 0, 1]), (labels, values))
    assert two.keys() == {"blocks", "gap_block_error"}
    assert math.isinf(mean_error(values, np.zeros(3)).value)


def test_few_blocks_make_wider_bounds_and_differences_add_in_quadrature():
    assert StandardError(1.0).within() == pytest.approx(1.960, abs=1e-3)
    assert StandardError(1.0, 9.0).within() == pytest.approx(2.262, abs=1e-3)
    both = StandardError(3.0, 10.0).beside(StandardError(4.0, 20.0))
    assert both.value == pytest.approx(5.0)
    assert both.freedom == pytest.approx(625 / (81 / 10 + 256 / 20))
    assert StandardError(0.0).beside(StandardError(0.0)).within() == 0.0
