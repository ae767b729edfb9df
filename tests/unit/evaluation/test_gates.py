"""Each gate on scores whose right judgement is known; every refusal is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.evaluation import gates
from include.evaluation.gates import Champion, GateInput, judge
from include.evaluation.metrics import brier, log_loss, summary
from include.evaluation.slices import SlicePart
from include.registry.inspection import Inspection
from include.spec import Slice
from tests.unit.registry.synthetic import USE_CASE

ROWS = 3000
DIGEST = "d" * 64
LIMITS = USE_CASE.gates
MEASURED = {"golden_difference": 0.0, "libraries": {}, "latency_p50_ms": 0.2, "latency_p99_ms": 0.5, "batch_ms": 4.0}
ALWAYS = {"evaluated_object", "auc", "brier", "calibration", "slice_brier", "baselines"}
PACKAGE = {"package_size", "artefact_safety", "runtime_validity", "latency"}


def candidate(quality: float = 1.0, champion_quality: float | None = None, *, seed: int = 1) -> GateInput:
    """Labels drawn from a known chance; a score of quality 1 is that chance, of quality 0 the constant base rate."""
    random = np.random.default_rng(seed)
    chance = random.beta(1, 2, ROWS)
    labels = (random.uniform(size=ROWS) < chance).astype(np.int64)
    depots = random.choice(["east", "north", "west"], ROWS)
    parts = [SlicePart("depot", name, depots == name, int((depots == name).sum()), 50) for name in ("east", "north", "west")]
    scores = mixed(chance, quality)
    champion = None if champion_quality is None else Champion(3, mixed(chance, champion_quality))
    return GateInput(
        use_case=USE_CASE,
        metrics=recorded(labels, scores, parts),
        evaluated_digest=DIGEST,
        package_digest=DIGEST,
        labels=labels,
        days=np.repeat(np.arange(30), ROWS // 30),
        slices=parts,
        scores=scores,
        champion=champion,
        inspection=Inspection(DIGEST, 300_000, [], dict(MEASURED)),
    )


def mixed(chance: np.ndarray, quality: float) -> np.ndarray:
    return quality * chance + (1 - quality) * chance.mean()


def recorded(labels: np.ndarray, scores: np.ndarray, parts: list[SlicePart]) -> dict[str, float]:
    metrics = {f"test.{name}": value for name, value in summary(labels, scores).items()}
    prior = np.full(len(labels), labels.mean())
    metrics["test.baseline.brier"] = brier(labels, prior)
    metrics["test.baseline.logloss"] = log_loss(labels, prior)
    metrics["test.baseline.last_value.logloss"] = metrics["test.baseline.simple.logloss"] = metrics["test.baseline.logloss"] - 0.01
    for part in parts:
        metrics |= {f"test.{part.key}.{name}": value for name, value in summary(labels[part.mask], scores[part.mask]).items()}
    return metrics


def refused_by(given: GateInput) -> set[str]:
    return {row["gate"] for row in judge(given)["rows"] if not row["passed"]}


def without(given: GateInput, metric: str) -> GateInput:
    return replace(given, metrics={name: value for name, value in given.metrics.items() if name != metric})


def test_a_good_first_model_is_accepted_by_every_gate():
    verdict = judge(candidate())
    assert verdict["accepted"] is True
    assert verdict["reasons"] == []
    assert verdict["champion_version"] is None
    assert {row["gate"] for row in verdict["rows"]} == {*ALWAYS, *PACKAGE, "bootstrap_rule"}


def test_a_better_candidate_replaces_the_bootstrap_rule_by_the_comparison():
    verdict = judge(candidate(1.0, champion_quality=0.5))
    assert verdict["accepted"] is True
    assert verdict["champion_version"] == 3
    judged = {row["gate"] for row in verdict["rows"]}
    assert {"champion_improvement", "champion_slices"} <= judged
    assert "bootstrap_rule" not in judged


def test_a_constant_score_is_refused_by_auc_and_bootstrap_rule_and_all_gates_have_run():
    verdict = judge(candidate(0.0))
    assert verdict["accepted"] is False
    assert {row["gate"] for row in verdict["rows"] if not row["passed"]} == {"auc", "baselines", "bootstrap_rule"}
    assert {row["gate"] for row in verdict["rows"]} == {*ALWAYS, *PACKAGE, "bootstrap_rule"}
    assert any("auc" in reason and "0.5" in reason and "0.6" in reason for reason in verdict["reasons"])


def test_an_over_confident_score_is_refused_by_the_calibration():
    given = candidate()
    scores = np.clip(given.scores * 1.6, 0, 1)
    assert "calibration" in refused_by(replace(given, scores=scores, metrics=recorded(given.labels, scores, given.slices)))


@pytest.mark.parametrize(
    "metric", ["test.auc", "test.brier", "test.ece", "test.logloss", "test.baseline.brier", "test.slice.depot.west.brier"]
)
def test_a_missing_metric_is_a_refusal_that_names_it(metric):
    verdict = judge(without(candidate(), metric))
    assert verdict["accepted"] is False
    assert any("missing" in reason for reason in verdict["reasons"])


def test_a_slice_that_scores_worse_is_refused_by_name():
    given = candidate()
    west = given.slices[2].mask
    scores = np.where(west, 1 - given.scores, given.scores)
    verdict = judge(replace(given, scores=scores, metrics=recorded(given.labels, scores, given.slices)))
    refused = [row for row in verdict["rows"] if row["gate"] == "slice_brier" and not row["passed"]]
    assert [row["slice"] for row in refused] == ["depot=west"]
    assert refused[0]["observed"] > LIMITS.max_slice_brier_excess


def test_a_slice_that_is_too_small_is_listed_and_not_judged():
    given = candidate()
    small = replace(given.slices[2], minimum_rows=ROWS)
    rows = judge(replace(given, slices=[*given.slices[:2], small]))["rows"]
    listed = [row for row in rows if row["slice"] == "depot=west"]
    assert [row["passed"] for row in listed] == [True]
    assert "too small" in listed[0]["reason"]
    assert listed[0]["observed"] is None


def test_a_declared_slice_without_any_judged_part_is_a_refusal():
    given = candidate(1.0, champion_quality=0.5)
    use_case = USE_CASE.model_copy(update={"slices": (*USE_CASE.slices, Slice(column="pickup_hour"))})
    verdict = judge(replace(given, use_case=use_case))
    refused = [(row["gate"], row["slice"]) for row in verdict["rows"] if not row["passed"]]
    assert refused == [("slice_brier", "pickup_hour"), ("champion_slices", "pickup_hour")]


def test_a_worse_candidate_is_refused_with_the_interval_of_the_difference():
    verdict = judge(candidate(0.5, champion_quality=1.0))
    row = next(row for row in verdict["rows"] if row["gate"] == "champion_improvement")
    assert row["passed"] is False
    assert row["observed"] < 0
    assert "95 % interval -0." in row["reason"]


def test_the_observed_improvement_is_the_difference_of_the_log_losses():
    given = candidate(1.0, champion_quality=0.5)
    row = next(row for row in judge(given)["rows"] if row["gate"] == "champion_improvement")
    expected = log_loss(given.labels, given.champion.scores) - log_loss(given.labels, given.scores)
    assert row["observed"] == pytest.approx(expected)


def test_an_equal_candidate_passes_only_where_the_specification_asks_for_no_improvement():
    given = candidate(0.8, champion_quality=0.8)
    assert "champion_improvement" not in refused_by(given)
    strict = USE_CASE.model_copy(update={"gates": LIMITS.model_copy(update={"min_champion_improvement": 0.001})})
    assert "champion_improvement" in refused_by(replace(given, use_case=strict))


def test_a_candidate_that_is_better_overall_and_worse_in_one_slice_is_refused():
    given = candidate(1.0, champion_quality=0.5)
    west = given.slices[2].mask
    scores = np.where(west, given.scores[west].mean(), given.scores)
    verdict = judge(replace(given, scores=scores, metrics=recorded(given.labels, scores, given.slices)))
    refused = [(row["gate"], row["slice"]) for row in verdict["rows"] if not row["passed"]]
    assert ("champion_slices", "depot=west") in refused
    assert "champion_improvement" not in {gate for gate, _ in refused}


def test_a_champion_that_cannot_be_scored_is_a_refusal_and_not_the_bootstrap_rule():
    given = replace(candidate(), champion=Champion(3, None, "DigestMismatch: model.ubj"))
    assert refused_by(given) == {"champion_improvement", "champion_slices"}
    assert any("version 3" in reason and "model.ubj" in reason for reason in judge(given)["reasons"])


def test_another_package_than_the_evaluated_one_is_refused():
    assert refused_by(replace(candidate(), package_digest="e" * 64)) == {"evaluated_object"}
    assert refused_by(replace(candidate(), evaluated_digest=None)) == {"evaluated_object", *PACKAGE}


def test_metrics_of_another_model_are_refused():
    given, other = candidate(), candidate(0.7)
    assert "evaluated_object" in refused_by(replace(given, metrics=other.metrics))


def test_a_candidate_that_cannot_be_loaded_is_refused_by_every_gate_that_needs_its_scores():
    given = replace(candidate(1.0, champion_quality=0.5), scores=None, package_digest=None, problem="DigestMismatch: transform.json")
    assert refused_by(given) == {"evaluated_object", "champion_improvement", "champion_slices"}


def test_no_gate_at_all_is_a_refusal():
    assert judge(candidate(), gates=[]) == {
        "accepted": False,
        "reasons": ["no gate judged anything"],
        "rows": [],
        "champion_version": None,
    }


@pytest.mark.parametrize("gate", gates.GATES, ids=lambda gate: gate.__name__)
def test_each_gate_is_needed(gate):
    """For each gate a candidate that it alone refuses gets through once the gate is off."""
    given = ALONE[gate.__name__]()
    assert refused_by(given) == {gate.__name__}
    others = [other for other in gates.GATES if other is not gate]
    assert judge(given, gates=others)["accepted"] is True


def limited(given: GateInput, **limits: float) -> GateInput:
    return replace(given, use_case=USE_CASE.model_copy(update={"gates": LIMITS.model_copy(update=limits)}))


def swapped_slice() -> GateInput:
    """Constant within one small slice: the comparison overall still gains, the slice's AUC falls to a half."""
    given = candidate(1.0, champion_quality=0.5)
    mask = given.slices[2].mask & (np.arange(ROWS) % 5 == 0)
    parts = [*given.slices, SlicePart("depot", "small", mask, int(mask.sum()), 50)]
    scores = np.where(mask, given.labels[mask].mean(), given.scores)
    judged = replace(given, slices=parts, scores=scores, metrics=recorded(given.labels, scores, parts))
    return limited(judged, max_slice_brier_excess=0.3)


ALONE = {
    "evaluated_object": lambda: replace(candidate(), package_digest="e" * 64),
    "auc": lambda: limited(candidate(), min_auc=0.95),
    "brier": lambda: limited(candidate(), max_brier=0.05),
    "calibration": lambda: limited(candidate(), max_calibration_error=0.001),
    "slice_brier": lambda: limited(candidate(), max_slice_brier_excess=0.0),
    "bootstrap_rule": lambda: limited(candidate(), min_baseline_skill=0.9),
    "champion_improvement": lambda: candidate(0.9, champion_quality=1.0),
    "champion_slices": swapped_slice,
}
