"""Which gates judge a candidate: those of every problem, and those on its own problem's metrics.

A new gate is written in the file of its family and listed there; a new family is listed here.
"""

from __future__ import annotations

from collections.abc import Sequence

from include.evaluation.gates.attribution import ATTRIBUTION_GATES
from include.evaluation.gates.base import GATES, Gate, GateInput, auc
from include.evaluation.gates.baselines import BASELINE_GATES
from include.evaluation.gates.calibration import CALIBRATION_GATES
from include.evaluation.gates.champion import CHAMPION_GATES
from include.evaluation.gates.fairness import FAIRNESS_GATES
from include.evaluation.gates.multiclass import MULTICLASS_GATES
from include.evaluation.gates.package import PACKAGE_GATES
from include.evaluation.gates.regression import REGRESSION_GATES
from include.evaluation.gates.segments import SEGMENT_GATES
from include.evaluation.gates.sensitivity import SENSITIVITY_GATES
from include.spec import ProblemKind
from include.verdict import GateVerdict

PROBLEM_GATES: dict[ProblemKind, tuple[Gate, ...]] = {
    "binary": (auc, *CALIBRATION_GATES),
    "multiclass": MULTICLASS_GATES,
    "regression": REGRESSION_GATES,
}
"""The gates on a problem's own metrics, overall and per slice."""


def all_gates(problem: ProblemKind = "binary") -> tuple[Gate, ...]:
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


def run_gates(gate_input: GateInput, gates: Sequence[Gate] | None = None) -> GateVerdict:
    """Run every gate of the problem, or those of `gates`."""
    chosen = gates if gates is not None else all_gates(gate_input.use_case.problem.kind)
    champion = gate_input.champion
    return GateVerdict(
        findings=tuple(finding for gate in chosen for finding in gate(gate_input)),
        champion_version=None if champion is None else champion.version,
    )
