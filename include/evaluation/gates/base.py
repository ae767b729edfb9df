"""The gates between a trained candidate and the registry.

A gate is a function `(GateInput) -> list[Finding]`: one finding per thing that it looked at. All
gates run, whatever an earlier one found, and the verdict holds all of them. What a gate needs and
does not find, it refuses by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.evaluation.slices import SlicePart
from include.model.inspection import Inspection
from include.model.package import ScoringModel
from include.problems.base import ProblemStrategy
from include.problems.registry import strategy_of
from include.registry.metric_names import SliceIdentity
from include.spec import Gates, UseCase
from include.verdict import Finding, at_least

TEST = "test"
SAME_METRIC = 1e-9


@dataclass(frozen=True)
class Champion:
    """The champion as it is now. `scores` are its probabilities on the candidate's test rows; None
    with `problem` if it cannot score.

    `segments` holds, of every category input, the share of each value in its training data.
    """

    version: int
    scores: np.ndarray | None
    problem: str = ""
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class GateInput:
    """What the gates judge: the metrics that MLflow holds for the run, and the test rows scored
    again with the package on disk.

    `metrics` are those of whole splits, `slice_metrics` those of the test split's slices.

    `scores` is None (with `problem`) when the package is not the one that was evaluated or cannot
    be loaded. `inspection` was made in a process of its own before the evaluation. `labels`,
    `scores`, `days` (one cluster per calendar day) have shape (test rows,), scores of several
    classes (test rows, classes). `package` is the candidate's folder (None where there is none),
    `model` is what was loaded from it (None with `problem` as for `scores`), `test` are the test
    rows with the snapshot's columns. `golden_lacks` are columns that the golden set was frozen
    without; they count as missing in it.
    """

    use_case: UseCase
    metrics: Mapping[str, float]
    evaluated_digest: str | None
    package_digest: str | None
    labels: np.ndarray
    days: np.ndarray
    slices: Sequence[SlicePart]
    scores: np.ndarray | None
    champion: Champion | None
    problem: str = ""
    inspection: Inspection | None = None
    package: Path | None = None
    model: ScoringModel | None = None
    test: pl.DataFrame | None = None
    slice_metrics: Mapping[SliceIdentity, Mapping[str, float]] = field(default_factory=dict)
    golden_lacks: tuple[str, ...] = ()

    def of_slice(self, part: SlicePart, metric: str) -> float | None:
        """A metric of a slice of the test split; None, and so a refusal, where MLflow has none."""
        return self.slice_metrics.get(part.identity, {}).get(metric)

    @property
    def limits(self) -> Gates:
        """The thresholds of the specification."""
        return self.use_case.gates

    def threshold(self, name: str) -> float | None:
        """An absolute threshold of the problem; None, and so a refusal, where it declares none."""
        return self.use_case.problem.thresholds.get(name)

    @property
    def problem_strategy(self) -> ProblemStrategy[Any]:
        """What the use case's problem asks for."""
        return strategy_of(self.use_case)

    def losses(self, scores: np.ndarray) -> np.ndarray:
        """Losses of the test rows, in nats; of a regression as share of the best constant's loss on
        them.
        """
        problem = self.problem_strategy
        return problem.losses(self.labels, scores) / problem.loss_unit(self.labels)


Gate = Callable[[GateInput], list[Finding]]


def evaluated_object(candidate: GateInput) -> list[Finding]:
    """The package at hand is the one that was evaluated, by digest and by scoring the test rows
    again.
    """
    same = (
        candidate.evaluated_digest is not None
        and candidate.package_digest == candidate.evaluated_digest
    )
    expected, actual = (
        str(value)[:16] for value in (candidate.evaluated_digest, candidate.package_digest)
    )
    reason = (
        f"digest {actual} was evaluated"
        if same
        else f"package has digest {actual}, evaluated was {expected}"
    )
    rows = [
        Finding(rule="evaluated_object", metric="digest", subject=TEST, passed=same, reason=reason)
    ]
    problem = candidate.problem_strategy
    metric = problem.loss_metric
    recorded = candidate.metrics.get(f"test.{metric}")
    if candidate.scores is None or recorded is None:
        reason = candidate.problem or f"metric test.{metric} is missing in MLflow"
        return [
            *rows,
            Finding(
                rule="evaluated_object",
                metric=metric,
                subject=TEST,
                limit=recorded,
                passed=False,
                reason=reason,
            ),
        ]
    again = float(problem.losses(candidate.labels, candidate.scores).mean())
    passed = abs(again - recorded) <= SAME_METRIC * max(1.0, abs(recorded))
    reason = (
        "scored again, same metric"
        if passed
        else "scored again, the package does not give the recorded metric"
    )
    return [
        *rows,
        Finding(
            rule="evaluated_object",
            metric=metric,
            subject=TEST,
            limit=recorded,
            observed=again,
            passed=passed,
            reason=reason,
        ),
    ]


def auc(candidate: GateInput) -> list[Finding]:
    """AUC on the test split is at least `min_auc`."""
    return [
        at_least(
            "auc",
            "auc",
            candidate.threshold("min_auc"),
            candidate.metrics.get("test.auc"),
            subject=TEST,
        )
    ]


def bootstrap_rule(candidate: GateInput) -> list[Finding]:
    """A use case's first model beats the prior:

    1 - Brier / prior's Brier (a regression's loss) is at least `min_baseline_skill`.
    """
    if candidate.champion is not None:
        return []
    metric = candidate.problem_strategy.skill_metric
    value, baseline = (
        candidate.metrics.get(f"test.{metric}"),
        candidate.metrics.get(f"test.baseline.{metric}"),
    )
    skill = None if value is None or not baseline else 1.0 - value / baseline
    return [
        at_least(
            "bootstrap_rule",
            f"{metric}_skill",
            candidate.limits.min_baseline_skill,
            skill,
            subject=TEST,
        )
    ]


GATES: tuple[Gate, ...] = (evaluated_object, bootstrap_rule)


def too_small(gate: str, metric: str, limit: float | None, part: SlicePart) -> Finding:
    """A slice that is listed and not judged."""
    reason = f"too small to judge: {part.rows} rows, the specification asks for {part.minimum_rows}"
    return Finding(
        rule=gate,
        metric=metric,
        subject=TEST,
        part=part.label,
        limit=limit,
        passed=True,
        judged=False,
        reason=reason,
    )


def undeclared_slices(
    candidate: GateInput, gate: str, metric: str, limit: float | None
) -> list[Finding]:
    """A declared slice column of which no part can be judged is a refusal: the gate would pass on
    nothing. Crossings may be small.
    """
    judged = {part.columns for part in candidate.slices if part.judged}
    absent = [
        declared.name
        for declared in candidate.use_case.slices
        if declared.crossed_with is None and declared.columns not in judged
    ]
    return [
        Finding(
            rule=gate,
            metric=metric,
            subject=TEST,
            part=column,
            limit=limit,
            passed=False,
            reason="the declared slice has no part with enough rows",
        )
        for column in absent
    ]
