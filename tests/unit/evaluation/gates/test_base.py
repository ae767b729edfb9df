"""Each gate on scores whose right judgement is known; every refusal is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.evaluation.gates.base import Champion
from include.evaluation.gates.registry import run_gates
from include.spec import Slice
from tests.unit.evaluation.gates.candidates import (
    ALWAYS,
    MODEL,
    PACKAGE,
    ROWS,
    SLICES,
    candidate,
    refused_by,
    without,
)
from tests.unit.model.synthetic import USE_CASE


def test_a_good_first_model_is_accepted_by_every_gate():
    verdict = run_gates(candidate())
    assert verdict.accepted is True
    assert verdict.reasons == []
    assert verdict.champion_version is None
    assert {row.rule for row in verdict.findings} == {*ALWAYS, *PACKAGE, "bootstrap_rule"}


def test_a_better_candidate_replaces_the_bootstrap_rule_by_the_comparison():
    verdict = run_gates(candidate(1.0, champion_quality=0.5))
    assert verdict.accepted is True
    assert verdict.champion_version == 3
    judged = {row.rule for row in verdict.findings}
    assert {"champion_improvement", "champion_slices"} <= judged
    assert "bootstrap_rule" not in judged


def test_a_constant_score_is_refused_by_auc_and_bootstrap_rule_and_all_gates_have_run():
    verdict = run_gates(candidate(0.0))
    assert verdict.accepted is False
    assert {row.rule for row in verdict.findings if not row.passed} == {
        "auc",
        "baselines",
        "bootstrap_rule",
    }
    assert {row.rule for row in verdict.findings} == {*ALWAYS, *PACKAGE, "bootstrap_rule"}
    assert any(
        "auc" in reason and "0.5" in reason and "0.6" in reason for reason in verdict.reasons
    )


@pytest.mark.parametrize(
    "metric",
    [
        "test.auc",
        "test.brier",
        "test.ece",
        "test.logloss",
        "test.baseline.brier",
    ],
)
def test_a_missing_metric_is_a_refusal_that_names_it(metric):
    verdict = run_gates(without(candidate(), metric))
    assert verdict.accepted is False
    assert any("missing" in reason for reason in verdict.reasons)


def test_a_slice_that_is_too_small_is_listed_and_not_judged():
    given = candidate()
    small = replace(given.slices[2], minimum_rows=ROWS)
    rows = run_gates(replace(given, slices=[*given.slices[:2], small])).findings
    listed = [row for row in rows if row.part == "depot=west"]
    assert [(row.rule, row.passed, row.observed) for row in listed] == [
        (gate, True, None) for gate in sorted(SLICES)
    ]
    assert all("too small" in row.reason for row in listed)


def test_a_declared_slice_without_any_judged_part_is_a_refusal():
    given = candidate(1.0, champion_quality=0.5)
    use_case = USE_CASE.model_copy(
        update={"slices": (*USE_CASE.slices, Slice(column="pickup_hour"))}
    )
    verdict = run_gates(replace(given, use_case=use_case))
    refused = [(row.rule, row.part) for row in verdict.findings if not row.passed]
    assert refused == [
        (gate, "pickup_hour") for gate in ("slice_brier", "slice_calibration", "champion_slices")
    ]


def test_a_champion_that_cannot_be_scored_is_a_refusal_and_not_the_bootstrap_rule():
    given = replace(candidate(), champion=Champion(3, None, "DigestMismatch: model.ubj"))
    assert refused_by(given) == {"champion_improvement", "champion_slices"}
    assert any(
        "version 3" in reason and "model.ubj" in reason for reason in run_gates(given).reasons
    )


def test_another_package_than_the_evaluated_one_is_refused():
    assert refused_by(replace(candidate(), package_digest="e" * 64)) == {"evaluated_object"}
    assert refused_by(replace(candidate(), evaluated_digest=None)) == {"evaluated_object", *PACKAGE}


def test_metrics_of_another_model_are_refused():
    given, other = candidate(), candidate(0.7)
    assert "evaluated_object" in refused_by(replace(given, metrics=other.metrics))


def test_a_candidate_that_cannot_be_loaded_is_refused_by_every_gate_that_needs_its_scores():
    given = candidate(1.0, champion_quality=0.5)
    given = replace(
        given,
        scores=None,
        model=None,
        package_digest=None,
        problem="DigestMismatch: transform.json",
    )
    assert refused_by(given) - PACKAGE == {
        "evaluated_object",
        "champion_improvement",
        "champion_slices",
        "slice_calibration",
        *MODEL,
    }
    assert all(
        "transform.json" in row.reason for row in run_gates(given).findings if row.rule in MODEL
    )


def test_no_gate_at_all_is_a_refusal():
    verdict = run_gates(candidate(), gates=[])
    assert not verdict.accepted
    assert verdict.reasons == ["no rule judged anything"]
