"""The strategy of a use case's problem, and the gates of a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.problems.base import ProblemStrategy
from include.spec import Problem, UseCase

if TYPE_CHECKING:
    from include.evaluation.gates.base import Gate


def strategy(use_case: UseCase) -> ProblemStrategy:
    """What the problem of the use case asks for: labels, metrics, losses, baselines, plots."""
    return _kinds()[use_case.problem](use_case)


def gates_of(problem: Problem) -> tuple[Gate, ...]:
    """The gates on the problem's own metrics, overall and per slice."""
    return _kinds()[problem].gates()


def _kinds() -> dict[Problem, type[ProblemStrategy]]:
    from include.problems.binary import Binary
    from include.problems.multiclass import Multiclass
    from include.problems.regression import Regression

    return {"binary": Binary, "multiclass": Multiclass, "regression": Regression}
