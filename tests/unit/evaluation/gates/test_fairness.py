"""Decisions that leave a group out are refused, by difference and by ratio, and so is a group that
cannot be judged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.errors import SpecError
from include.evaluation.gates.base import GateInput
from include.evaluation.gates.fairness import fairness
from include.evaluation.gates.registry import run_gates
from include.spec.expectations import FairnessGroups
from include.verdict import Finding
from tests.unit.evaluation.gates.candidates import candidate, limited

DEPOTS = FairnessGroups(column="depot")
WEST = 2


def grouped(given: GateInput, declared: FairnessGroups = DEPOTS) -> GateInput:
    return limited(given, fairness=(declared,))


def unfair() -> GateInput:
    """No late parcel of the west is ever found."""
    given = candidate()
    return grouped(
        replace(given, scores=np.where(given.slices[WEST].mask, given.scores * 0.1, given.scores))
    )


def found(given: GateInput) -> dict[str, Finding]:
    return {f"{row.metric} {row.part}": row for row in fairness(given)}


def test_a_model_that_treats_groups_alike_passes_with_every_rate_as_evidence():
    rows = found(grouped(candidate()))
    rates = ("selection", "true_positive", "false_positive")
    assert set(rows) == {
        f"{rate}_{measure} depot" for rate in rates for measure in ("difference", "ratio")
    }
    assert all(row.passed for row in rows.values())


def test_the_measures_are_those_of_the_decisions_at_the_threshold():
    given = grouped(candidate())
    decided = given.scores >= given.use_case.serving.decision_threshold
    rates = [decided[part.mask & (given.labels == 1)].mean() for part in given.slices]
    rows = found(given)
    assert rows["true_positive_difference depot"].observed == pytest.approx(max(rates) - min(rates))
    assert rows["true_positive_ratio depot"].observed == pytest.approx(min(rates) / max(rates))


def test_a_model_that_leaves_a_group_out_is_refused_by_difference_and_ratio_and_told_the_group():
    rows = found(unfair())
    for metric in (
        "selection_difference",
        "selection_ratio",
        "true_positive_difference",
        "true_positive_ratio",
    ):
        assert rows[f"{metric} depot"].passed is False
        assert "west 0.000" in rows[f"{metric} depot"].reason
    assert rows["true_positive_ratio depot"].observed == 0.0


def test_without_the_gate_the_unfair_model_gets_through():
    assert any("fairness" in reason for reason in run_gates(unfair()).reasons)
    assert fairness(limited(unfair(), fairness=())) == []


def test_a_declared_group_without_rows_is_refused_by_name():
    declared = FairnessGroups(
        column="depot",
        groups={"inland": ("east", "north"), "coast": ("west",), "island": ("south",)},
    )
    rows = found(grouped(candidate(), declared))
    refused = [row for row in rows.values() if not row.passed]
    assert [(row.metric, row.part, row.observed) for row in refused] == [
        ("group_rows", "depot=island", 0.0)
    ]
    assert "no row" in refused[0].reason


def test_a_group_that_is_too_small_is_listed_and_not_judged():
    declared = FairnessGroups(
        column="depot", groups={"inland": ("east", "north"), "coast": ("west",)}, minimum_rows=1500
    )
    rows = found(grouped(candidate(), declared))
    assert rows["group_rows depot=coast"].passed is True
    assert "too small" in rows["group_rows depot=coast"].reason
    assert rows["selection_ratio depot"].passed is False
    assert "fewer than two groups" in rows["selection_ratio depot"].reason


def test_a_rate_is_judged_on_enough_positives_only():
    given = candidate()
    few = given.slices[WEST].mask & (np.arange(len(given.labels)) % 60 != 0)
    rows = found(grouped(replace(given, labels=np.where(few, 0, given.labels))))
    assert "west" not in rows["true_positive_ratio depot"].reason
    assert "west" in rows["selection_ratio depot"].reason


def test_two_tiny_rates_are_judged_by_their_difference_and_nobody_selected_is_nobody_worse_off():
    given = candidate()
    rows = found(grouped(replace(given, scores=np.zeros(len(given.labels)))))
    assert rows["selection_ratio depot"].observed == 1.0
    assert all(row.passed for row in rows.values())
    one = np.zeros(len(given.labels))
    one[np.flatnonzero(given.slices[WEST].mask)[:5]] = 1.0
    rows = found(grouped(replace(given, scores=one)))
    assert rows["selection_ratio depot"].observed == 0.0
    assert rows["selection_ratio depot"].passed is True
    assert "judged by the difference" in rows["selection_ratio depot"].reason


@pytest.mark.parametrize("field", ["scores", "model", "test"])
def test_what_cannot_be_scored_is_refused(field):
    rows = found(replace(grouped(candidate()), **{field: None}))
    assert [row.passed for row in rows.values()] == [False]


def test_a_column_that_the_rows_do_not_have_is_refused_by_name():
    rows = found(grouped(candidate(), FairnessGroups(column="colour")))
    assert [row.passed for row in rows.values()] == [False]
    assert "colour" in next(iter(rows.values())).reason


def test_a_value_in_two_groups_is_a_contradiction():
    with pytest.raises(SpecError, match="more than one group"):
        FairnessGroups(column="depot", groups={"a": ("east",), "b": ("east", "west")})
