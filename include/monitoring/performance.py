"""Performance on the labels that were known at the interval's end, against what the model reached
on its own test split.

Two findings make a decay, both effect sizes with a limit from the specification (of other problems
than a binary one those of `decay`):

* `auc_drop`: the test split's AUC less the interval's;
* `calibration_gap`: |mean score - observed rate|.

`noise` beside each is what chance exceeds no oftener than `false_alarms` allows, by the standard
error of the blocks that share a cause (`certainty`), both sides added in quadrature, and a finding
must exceed that too, so that a limit set too tight for the rows at hand cannot cry wolf. The bounds
of the 95 % interval come from the same error and lie inside the noise. Below the declared minimum
of labelled rows nothing is judged: neither an alarm nor an all-clear.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from include.data_sets.blocks import blocks_or_rows
from include.errors import RegistryError
from include.evaluation.slices import slice_parts
from include.model.package import ScoringModel
from include.monitoring.decay import DECAY, left_open
from include.monitoring.labels import LABEL
from include.problems.registry import strategy_of
from include.spec import Monitoring, ProblemKind, UseCase
from include.stats.metrics import summary
from include.verdict import Finding


def measure(frame: pl.DataFrame, use_case: UseCase | None = None) -> dict[str, float]:
    """The problem's metrics of the labelled rows of `frame` (columns `label`, `score`, of several
    classes `predicted_class`).

    Empty when there is none. Without a use case the problem is binary; with one its blocks say how
    sure the metrics are (`<name>_block_error`, `blocks`).
    """
    labelled = frame.drop_nulls(LABEL)
    if labelled.height == 0:
        return {}
    if use_case is None:
        return summary(labelled[LABEL].to_numpy(), labelled["score"].to_numpy())
    problem, blocks = strategy_of(use_case), blocks_or_rows(use_case, labelled)
    return {**problem.table_summary(labelled), **problem.table_block_errors(labelled, blocks)}


def baseline(model: ScoringModel) -> dict[str, float]:
    """The model's own metrics on its test split, and how sure they are where the package says it.

    Raises `RegistryError` when one is missing: no baseline is never "no decay".
    """
    recorded, names = model.metadata.metrics, DECAY[model.metadata.problem].baseline_metrics
    missing = [name for name in names if not math.isfinite(recorded.get(name, math.nan))]
    if missing:
        raise RegistryError(
            f"metadata.json of run {model.metadata.run_id} lacks the test metrics {missing}; it has"
            f" {sorted(recorded)}. Performance cannot be judged against it; train and release a"
            " version with a complete package."
        )
    errors = [f"{name}_block_error" for name in DECAY[model.metadata.problem].certain]
    return {name: recorded[name] for name in (*names, "blocks", *errors) if name in recorded}


def judge(
    metrics: Mapping[str, float],
    reference: Mapping[str, float],
    limits: Monitoring,
    problem: ProblemKind = "binary",
) -> dict[str, Any]:
    """`{"judged", "minimum_rows", "auc_drop", "calibration_gap", "bounds", "findings"}`.

    `auc_drop` and `calibration_gap` (mean score less observed rate) are measured wherever they are
    defined, null elsewhere. `bounds` are those of `decay.BOUNDS` that are known. `findings` are all
    that could be measured, and what was left open, with the reason; of too few rows nothing is
    judged, and nothing refuses.
    """
    rows = int(metrics.get("n", 0))
    rules = DECAY[problem]
    checks = rules.checks(metrics, reference, limits)
    drop = next((check.observed for check in checks if check.rule == "auc_drop"), None)
    enough = rows >= limits.minimum_rows
    if enough:
        findings = [*checks, *rules.left_open(rows, checks)]
    else:
        findings = [_too_few(rows, limits.minimum_rows), *map(_only_measured, checks)]
    return {
        "judged": enough,
        "minimum_rows": limits.minimum_rows,
        "auc_drop": drop,
        "calibration_gap": rules.calibration_gap(metrics),
        "bounds": rules.intervals(metrics, reference),
        "findings": findings,
    }


def slices(use_case: UseCase, model: ScoringModel, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The same metrics per declared slice of the labelled rows; one below its minimum of rows says
    so and carries only `n`.
    """
    labelled = frame.drop_nulls(LABEL)
    if labelled.height == 0:
        return []
    result: list[dict[str, Any]] = []
    for part in slice_parts(use_case, model.transform, labelled):
        metrics = (
            strategy_of(use_case).table_summary(labelled.filter(part.mask))
            if part.judged
            else {"n": float(part.rows)}
        )
        status = "judged" if part.judged else "too few rows"
        result.append(
            {"column": part.column, "value": part.value, "status": status, "metrics": metrics}
        )
    return result


def _too_few(rows: int, minimum: int) -> Finding:
    why = f"{rows} labelled rows are fewer than the minimum of {minimum}"
    return left_open("minimum_rows", why, rows, minimum)


def _only_measured(check: Finding) -> Finding:
    """Of too few rows: what was measured decides nothing."""
    return check.model_copy(update={"passed": True, "judged": False})
