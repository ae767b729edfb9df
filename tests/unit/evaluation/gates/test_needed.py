"""Every gate is needed: a candidate that it alone refuses gets through once the gate is off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.evaluation.gates.base import GateInput
from include.evaluation.gates.registry import all_gates, run_gates
from include.evaluation.slices import SlicePart
from include.model.inspection import Inspection
from include.spec import Golden
from include.spec.expectations import Direction, FairnessGroups, Invariance
from proofs.refusals.without import switchable_rules, switched_off
from tests.unit.evaluation.gates.candidates import (
    DIGEST,
    MEASURED,
    ROWS,
    candidate,
    limited,
    refused_by,
    scored,
)
from tests.unit.model.synthetic import START, with_golden


def flat_slice() -> GateInput:
    """Constant within one part of a depot: the comparison overall still gains, the slice's AUC
    falls to a half.
    """
    given = candidate(1.0, champion_quality=0.5)
    mask = given.slices[2].mask & (np.arange(ROWS) % 5 == 0)
    parts = [*given.slices, SlicePart(("depot",), ("small",), mask, int(mask.sum()), 50)]
    scores = np.where(mask, given.labels[mask].mean(), given.scores)
    return scored(replace(given, slices=parts), scores)


def beaten_by_simple() -> GateInput:
    given = candidate()
    return replace(
        given,
        metrics={
            **given.metrics,
            "test.baseline.simple.logloss": given.metrics["test.logloss"] - 0.01,
        },
    )


def no_better_than_prior_on_golden() -> GateInput:
    given = candidate()
    metrics = {**given.metrics, "golden.logloss": 0.6, "golden.baseline.logloss": 0.5}
    return replace(given, use_case=with_golden(Golden(until=START)), metrics=metrics)


def inspected(size: int = 300_000, unsafe: tuple[str, ...] = (), **measured: object) -> GateInput:
    return replace(
        candidate(), inspection=Inspection(DIGEST, size, list(unsafe), {**MEASURED, **measured})
    )


def with_segments(shares: dict[str, dict[str, float]]) -> GateInput:
    """A champion that knew a depot of which there is no test row."""
    given = candidate(1.0, champion_quality=0.5)
    assert given.champion is not None
    return replace(given, champion=replace(given.champion, segments=shares))


STRICT = FairnessGroups(column="depot", max_true_positive_difference=0.0)

ALONE = {
    "evaluated_object": lambda: replace(candidate(), package_digest="e" * 64),
    "auc": lambda: limited(candidate(), min_auc=0.95),
    "bootstrap_rule": lambda: limited(candidate(), min_baseline_skill=0.9),
    "brier": lambda: limited(candidate(), max_brier=0.05),
    "calibration": lambda: limited(candidate(), max_calibration_error=0.001),
    "slice_brier": lambda: limited(candidate(), min_slice_brier_skill=0.9),
    "slice_calibration": lambda: limited(candidate(), max_slice_calibration_excess=0.0),
    "champion_improvement": lambda: candidate(0.9, champion_quality=1.0),
    "champion_slices": flat_slice,
    "segments": lambda: with_segments(
        {"depot": {"east": 0.4, "north": 0.3, "west": 0.2, "south": 0.1}}
    ),
    "baselines": beaten_by_simple,
    "golden": no_better_than_prior_on_golden,
    "fairness": lambda: limited(candidate(), fairness=(STRICT,)),
    "perturbation": lambda: limited(candidate(), max_perturbation_mean=0.001),
    "missing_values": lambda: limited(candidate(), max_missing_change=0.1),
    "invariance": lambda: limited(candidate(), invariances=(Invariance(inputs=("load",)),)),
    "direction": lambda: limited(
        candidate(), directions=(Direction(input="load", change=0.3, expect="not_higher"),)
    ),
    "attribution": lambda: limited(candidate(), max_attribution_share=0.5),
    "package_size": lambda: inspected(size=51_000_000),
    "artefact_safety": lambda: inspected(unsafe=("x.pkl: not one of the files of a package",)),
    "runtime_validity": lambda: inspected(golden_difference=0.1),
    "latency": lambda: inspected(batch_ms=1000.0),
}


@pytest.mark.parametrize("gate", all_gates(), ids=lambda gate: gate.__name__)
def test_each_gate_alone_refuses_its_case_which_gets_through_without_it(gate):
    given = ALONE[gate.__name__]()
    assert refused_by(given) == {gate.__name__}
    others = [other for other in all_gates() if other is not gate]
    assert run_gates(given, gates=others).accepted is True
    with switched_off([f"check_gates: {gate.__name__}"]):
        assert run_gates(given).accepted is True
    assert run_gates(given).accepted is False


def test_every_gate_can_be_switched_off():
    assert set(switchable_rules()["check_gates"]) == set(ALONE)
