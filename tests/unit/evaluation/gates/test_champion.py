"""The comparison with the champion: equal, lucky, worse and partly worse candidates are refused, a
surely better one is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.evaluation.gates.base import GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.slices import SlicePart
from include.stats.metrics import log_loss, roc_auc
from include.stats.paired import auc_difference
from include.verdict import Finding
from tests.unit.evaluation.gates.candidates import (
    ROWS,
    candidate,
    limited,
    mixed,
    refused_by,
    scored,
)


def rows_of(given: GateInput, gate: str) -> dict[str, Finding]:
    return {row.metric: row for row in run_gates(given).findings if row.rule == gate}


def lucky() -> GateInput:
    """A little worse than the champion on every day but one, on which it knows the answers: better
    in the mean, by one day's luck.
    """
    given = candidate(0.7, champion_quality=0.8)
    day = given.days == 7
    scores = np.where(day, np.where(given.labels == 1, 0.95, 0.05), given.scores)
    return scored(given, scores)


def test_a_worse_candidate_is_refused_with_the_interval_of_the_difference():
    found = rows_of(candidate(0.5, champion_quality=1.0), "champion_improvement")
    assert [row.passed for row in found.values()] == [False, False]
    assert found["logloss_improvement"].observed < 0
    assert found["improvement_confidence"].observed == 0.0
    assert "95 % interval -0." in found["logloss_improvement"].reason


def test_the_observed_improvement_is_the_difference_of_the_log_losses():
    given = candidate(1.0, champion_quality=0.5)
    expected = log_loss(given.labels, given.champion.scores) - log_loss(given.labels, given.scores)
    assert rows_of(given, "champion_improvement")["logloss_improvement"].observed == pytest.approx(
        expected
    )


def test_an_equal_candidate_is_refused_even_where_no_improvement_is_asked_for():
    given = candidate(0.8, champion_quality=0.8)
    found = rows_of(given, "champion_improvement")
    assert given.limits.min_champion_improvement == 0.0
    assert found["logloss_improvement"].passed is True
    assert (
        found["improvement_confidence"].observed,
        found["improvement_confidence"].passed,
    ) == (0.0, False)


def test_a_candidate_that_is_better_by_one_lucky_day_is_refused_for_want_of_confidence():
    found = rows_of(lucky(), "champion_improvement")
    assert found["logloss_improvement"].passed is True
    assert found["logloss_improvement"].observed > 0.005
    assert found["improvement_confidence"].passed is False
    assert 0.3 < found["improvement_confidence"].observed < 0.9
    assert "champion_improvement" not in refused_by(limited(lucky(), champion_confidence=0.3))


def test_the_improvement_asked_for_is_what_has_to_be_sure():
    given = candidate(1.0, champion_quality=0.9)
    gained = rows_of(given, "champion_improvement")["logloss_improvement"].observed
    found = rows_of(limited(given, min_champion_improvement=gained), "champion_improvement")
    assert found["logloss_improvement"].passed is True
    assert 0.2 < found["improvement_confidence"].observed < 0.8
    assert found["improvement_confidence"].passed is False


def test_a_candidate_that_is_better_overall_and_worse_in_one_slice_is_refused_by_that_slice_only():
    given = candidate(1.0, champion_quality=0.5)
    west = given.slices[2].mask & (np.arange(ROWS) % 6 == 0)
    parts = [*given.slices, SlicePart(("depot",), ("dock",), west, int(west.sum()), 50)]
    scores = np.where(west, given.scores[west].mean(), given.scores)
    verdict = run_gates(scored(replace(given, slices=parts), scores))
    refused = {(row.rule, row.part) for row in verdict.findings if not row.passed}
    assert refused == {("champion_slices", "depot=dock")}
    assert any("surely worse" in reason for reason in verdict.reasons)


def test_a_loss_over_few_days_is_reported_and_no_refusal():
    """Worse on one day of six in a small slice: above both thresholds, and it may be chance."""
    given = candidate(1.0, champion_quality=0.6)
    mask = (given.days >= 3) & (given.days < 9) & given.slices[0].mask
    bad = mask & (given.days == 4)
    scores = np.where(bad, np.where(given.labels == 1, 0.05, 0.95), given.scores)
    parts = [*given.slices, SlicePart(("depot",), ("dock",), mask, int(mask.sum()), 50)]
    found = run_gates(scored(replace(given, slices=parts), scores)).findings
    rows = [row for row in found if (row.rule, row.part) == ("champion_slices", "depot=dock")]
    assert {row.metric: (row.observed > row.limit, row.passed) for row in rows} == {
        "auc_drop": (True, True),
        "logloss_increase": (True, True),
    }
    assert all("not surely worse" in row.reason for row in rows)


def test_the_more_slices_are_looked_at_the_surer_a_loss_has_to_be():
    given = candidate(1.0, champion_quality=0.5)
    more = replace(given, slices=[*given.slices, *given.slices])
    reasons = [
        next(
            row.reason
            for row in run_gates(which).findings
            if row.rule == "champion_slices" and row.observed is not None
        )
        for which in (given, more)
    ]
    assert "98.33%" in reasons[0]
    assert "99.17%" in reasons[1]


def test_auc_difference_is_zero_for_a_model_and_itself_and_antisymmetric():
    given = candidate(1.0)
    other = mixed(given.scores, 0.2) + np.random.default_rng(3).normal(0, 0.2, ROWS)
    same = auc_difference(given.labels, given.scores, given.scores, given.days, seed=1)
    assert (same.mean, same.low, same.high) == (0.0, 0.0, 0.0)
    there = auc_difference(given.labels, given.scores, np.clip(other, 0, 1), given.days, seed=1)
    back = auc_difference(given.labels, np.clip(other, 0, 1), given.scores, given.days, seed=1)
    assert there.mean == pytest.approx(
        roc_auc(given.labels, given.scores) - roc_auc(given.labels, np.clip(other, 0, 1))
    )
    assert there.mean == pytest.approx(-back.mean)
    assert there.low < there.mean < there.high
    assert there.share_above(0.0) == 1.0 - back.share_above(0.0)
