"""Which gates judge a candidate: those of every problem, and those on its own problem's metrics.

A new gate is written in the file of its family and listed there; a new family is listed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.evaluation.gates.attribution import ATTRIBUTION_GATES
from include.evaluation.gates.base import GATES, Gate, GateInput, GateRow, auc
from include.evaluation.gates.baselines import BASELINE_GATES
from include.evaluation.gates.calibration import CALIBRATION_GATES
from include.evaluation.gates.champion import CHAMPION_GATES
from include.evaluation.gates.fairness import FAIRNESS_GATES
from include.evaluation.gates.multiclass import MULTICLASS_GATES
from include.evaluation.gates.package import PACKAGE_GATES
from include.evaluation.gates.regression import REGRESSION_GATES
from include.evaluation.gates.segments import SEGMENT_GATES
from include.evaluation.gates.sensitivity import SENSITIVITY_GATES
from include.spec import Problem

PROBLEM_GATES: dict[Problem, tuple[Gate, ...]] = {
    "binary": (auc, *CALIBRATION_GATES),
    "multiclass": MULTICLASS_GATES,
    "regression": REGRESSION_GATES,
}
"""The gates on a problem's own metrics, overall and per slice."""


def all_gates(problem: Problem = "binary") -> tuple[Gate, ...]:
    """Every gate of a problem."""
    return (
        *GATES,
        *PROBLEM_GATES[problem],
        *CHAMPION_GATES,
        *BASELINE_GATES,
        *FAIRNESS_GATES,
        *SENSITIVITY_GATES,
        *ATTRIBUTION_GATES,
        *PACKAGE_GATES,
        *SEGMENT_GATES,
    )


def judge(given: GateInput, gates: Sequence[Gate] | None = None) -> dict[str, Any]:
    """Run every gate:

    `{"accepted", "reasons", "rows", "champion_version"}`. No row at all is a refusal too.
    """
    chosen = gates if gates is not None else all_gates(given.use_case.problem)
    rows = [row for gate in chosen for row in gate(given)]
    reasons = [_reason(row) for row in rows if not row.passed]
    if not rows:
        reasons = ["no gate judged anything"]
    version = None if given.champion is None else given.champion.version
    return {
        "accepted": not reasons,
        "reasons": reasons,
        "rows": [row.as_json() for row in rows],
        "champion_version": version,
    }


def _reason(row: GateRow) -> str:
    where = f"{row.split}{', ' + row.slice if row.slice else ''}"
    numbers = "" if row.observed is None else f" observed {row.observed:.5g},"
    limit = "" if row.threshold is None else f" threshold {row.threshold:.5g}:"
    return f"{row.gate} ({row.metric}, {where}):{numbers}{limit} {row.reason}"
