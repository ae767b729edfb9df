"""The gates between a trained candidate and the registry.

A gate is a function `(GateInput) -> list[GateRow]`: one row of evidence per thing it judged. All gates run, whatever an
earlier one found, and the verdict lists all rows. What a gate needs and does not find, it refuses by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from include.evaluation.comparison import paired_bootstrap
from include.evaluation.metrics import log_losses, roc_auc
from include.evaluation.slices import SlicePart
from include.registry.inspection import Inspection
from include.spec import Gates, UseCase

if TYPE_CHECKING:
    from include.registry.artifact import ScoringModel

TEST = "test"
SAME_METRIC = 1e-9


@dataclass(frozen=True)
class GateRow:
    """One judgement. `observed` is None where the value is missing; `slice` is empty for the whole split."""

    gate: str
    metric: str
    split: str
    slice: str
    threshold: float | None
    observed: float | None
    passed: bool
    reason: str

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Champion:
    """The champion as it is now. `scores` are its probabilities on the candidate's test rows; None with `problem` if it cannot score."""

    version: int
    scores: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class GateInput:
    """What the gates judge: the metrics that MLflow holds for the run, and the test rows scored again with the package on disk.

    `scores` is None (with `problem`) when the package is not the one that was evaluated or cannot be loaded.
    `labels`, `scores`, `days` (one cluster per calendar day) have shape (test rows,).
    `package` is the candidate's folder (None where there is none), `model` is what was loaded from it (None with `problem` as for
    `scores`), `test` are the test rows with the snapshot's columns. `inspection` was made in a process of its own, before the evaluation.
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
    package: Path | None = None
    model: ScoringModel | None = None
    test: pl.DataFrame | None = None
    inspection: Inspection | None = None

    @property
    def limits(self) -> Gates:
        """The thresholds of the specification."""
        return self.use_case.gates


Gate = Callable[[GateInput], list[GateRow]]


def evaluated_object(given: GateInput) -> list[GateRow]:
    """The package at hand is the one that was evaluated, by digest and by scoring the test rows again."""
    same = given.evaluated_digest is not None and given.package_digest == given.evaluated_digest
    expected, found = (str(value)[:16] for value in (given.evaluated_digest, given.package_digest))
    reason = f"digest {found} was evaluated" if same else f"package has digest {found}, evaluated was {expected}"
    rows = [GateRow("evaluated_object", "digest", TEST, "", None, None, same, reason)]
    recorded = given.metrics.get("test.logloss")
    if given.scores is None or recorded is None:
        reason = given.problem or "metric test.logloss is missing in MLflow"
        return [*rows, GateRow("evaluated_object", "logloss", TEST, "", recorded, None, False, reason)]
    again = float(log_losses(given.labels, given.scores).mean())
    passed = abs(again - recorded) <= SAME_METRIC
    reason = "scored again, same metric" if passed else "scored again, the package does not give the recorded metric"
    return [*rows, GateRow("evaluated_object", "logloss", TEST, "", recorded, again, passed, reason)]


def auc(given: GateInput) -> list[GateRow]:
    """AUC on the test split is at least `min_auc`."""
    return [_at_least("auc", "auc", given.limits.min_auc, given.metrics.get("test.auc"))]


def brier(given: GateInput) -> list[GateRow]:
    """Brier score on the test split is at most `max_brier`."""
    return [_at_most("brier", "brier", given.limits.max_brier, given.metrics.get("test.brier"))]


def calibration(given: GateInput) -> list[GateRow]:
    """Expected calibration error on the test split is at most `max_calibration_error`."""
    return [_at_most("calibration", "ece", given.limits.max_calibration_error, given.metrics.get("test.ece"))]


def slice_brier(given: GateInput) -> list[GateRow]:
    """No slice's Brier score exceeds the overall one by more than `max_slice_brier_excess`."""
    limit, overall = given.limits.max_slice_brier_excess, given.metrics.get("test.brier")
    rows = _undeclared_slices(given, "slice_brier", "brier_excess", limit)
    for part in given.slices:
        if not part.judged:
            rows.append(_too_small("slice_brier", "brier_excess", limit, part))
            continue
        value = given.metrics.get(f"test.{part.key}.brier")
        excess = None if value is None or overall is None else value - overall
        rows.append(_at_most("slice_brier", "brier_excess", limit, excess, part.label))
    return rows


def bootstrap_rule(given: GateInput) -> list[GateRow]:
    """A use case's first model beats the constant base rate: 1 - Brier / baseline Brier is at least `min_baseline_skill`."""
    if given.champion is not None:
        return []
    value, baseline = given.metrics.get("test.brier"), given.metrics.get("test.baseline.brier")
    skill = None if value is None or not baseline else 1.0 - value / baseline
    return [_at_least("bootstrap_rule", "brier_skill", given.limits.min_baseline_skill, skill)]


def champion_improvement(given: GateInput) -> list[GateRow]:
    """The log loss is lower than the champion's, now and on the same rows, by at least `min_champion_improvement` (nats)."""
    if given.champion is None:
        return []
    limit = given.limits.min_champion_improvement
    missing = _not_comparable(given, given.champion)
    if missing or given.scores is None or given.champion.scores is None:
        return [GateRow("champion_improvement", "logloss_improvement", TEST, "", limit, None, False, missing)]
    gained = log_losses(given.labels, given.champion.scores) - log_losses(given.labels, given.scores)
    found = paired_bootstrap(gained, given.days, seed=given.use_case.training.seed)
    passed = found.mean >= limit
    reason = (
        f"{'better' if found.mean > 0 else 'not better'} than champion version {given.champion.version}; "
        f"95 % interval {found.low:.5f} to {found.high:.5f} over {found.clusters} days"
    )
    return [GateRow("champion_improvement", "logloss_improvement", TEST, "", limit, found.mean, passed, reason)]


def champion_slices(given: GateInput) -> list[GateRow]:
    """No slice's AUC falls below the champion's, on the same rows, by more than `max_slice_auc_drop`."""
    if given.champion is None:
        return []
    limit = given.limits.max_slice_auc_drop
    rows = _undeclared_slices(given, "champion_slices", "auc_drop", limit)
    missing = _not_comparable(given, given.champion)
    if missing or given.scores is None or given.champion.scores is None:
        return [*rows, GateRow("champion_slices", "auc_drop", TEST, "", limit, None, False, missing)]
    for part in given.slices:
        labels = given.labels[part.mask]
        if not part.judged:
            rows.append(_too_small("champion_slices", "auc_drop", limit, part))
        elif labels.min() == labels.max():
            reason = "the slice holds one class only: its AUC is undefined"
            rows.append(GateRow("champion_slices", "auc_drop", TEST, part.label, limit, None, False, reason))
        else:
            drop = roc_auc(labels, given.champion.scores[part.mask]) - roc_auc(labels, given.scores[part.mask])
            rows.append(_at_most("champion_slices", "auc_drop", limit, drop, part.label))
    return rows


GATES: tuple[Gate, ...] = (evaluated_object, auc, brier, calibration, slice_brier, bootstrap_rule, champion_improvement, champion_slices)


def all_gates() -> tuple[Gate, ...]:
    """Every gate, those of the other modules included."""
    from include.evaluation.gates_baselines import BASELINE_GATES
    from include.evaluation.gates_package import PACKAGE_GATES

    return (*GATES, *BASELINE_GATES, *PACKAGE_GATES)


def judge(given: GateInput, gates: Sequence[Gate] | None = None) -> dict[str, Any]:
    """Run every gate: `{"accepted", "reasons", "rows", "champion_version"}`. No row at all is a refusal too."""
    rows = [row for gate in (all_gates() if gates is None else gates) for row in gate(given)]
    reasons = [_reason(row) for row in rows if not row.passed]
    if not rows:
        reasons = ["no gate judged anything"]
    version = None if given.champion is None else given.champion.version
    return {"accepted": not reasons, "reasons": reasons, "rows": [row.as_json() for row in rows], "champion_version": version}


def _reason(row: GateRow) -> str:
    where = f"{row.split}{', ' + row.slice if row.slice else ''}"
    numbers = "" if row.observed is None else f" observed {row.observed:.5g},"
    limit = "" if row.threshold is None else f" threshold {row.threshold:.5g}:"
    return f"{row.gate} ({row.metric}, {where}):{numbers}{limit} {row.reason}"


def _at_least(gate: str, metric: str, limit: float, value: float | None, part: str = "") -> GateRow:
    return _row(gate, metric, limit, value, part, passed=value is not None and value >= limit, failure="below the threshold")


def _at_most(gate: str, metric: str, limit: float, value: float | None, part: str = "") -> GateRow:
    return _row(gate, metric, limit, value, part, passed=value is not None and value <= limit, failure="above the threshold")


def _row(gate: str, metric: str, limit: float, value: float | None, part: str, *, passed: bool, failure: str) -> GateRow:
    reason = "the metric is missing" if value is None else "within the threshold" if passed else failure
    return GateRow(gate, metric, TEST, part, limit, value, passed, reason)


def _too_small(gate: str, metric: str, limit: float, part: SlicePart) -> GateRow:
    reason = f"too small to judge: {part.rows} rows, the specification asks for {part.minimum_rows}"
    return GateRow(gate, metric, TEST, part.label, limit, None, True, reason)


def _undeclared_slices(given: GateInput, gate: str, metric: str, limit: float) -> list[GateRow]:
    """A declared slice column of which no part can be judged is a refusal: the gate would pass on nothing. Crossings may be small."""
    judged = {part.column for part in given.slices if part.judged}
    wanted = [declared.name for declared in given.use_case.slices if declared.crossed_with is None]
    absent = [name for name in wanted if name not in judged]
    return [GateRow(gate, metric, TEST, column, limit, None, False, "the declared slice has no part with enough rows") for column in absent]


def _not_comparable(given: GateInput, champion: Champion) -> str:
    if champion.scores is None:
        return f"champion version {champion.version} cannot be scored: {champion.problem or 'no scores'}"
    if given.scores is None:
        return given.problem or "the candidate cannot be scored"
    return ""
