"""The strategy of a use case's problem."""

from __future__ import annotations

from include.problems.base import ProblemStrategy
from include.problems.binary import Binary
from include.problems.multiclass import Multiclass
from include.problems.regression import Regression
from include.spec import Problem, UseCase

STRATEGIES: dict[Problem, type[ProblemStrategy]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "regression": Regression,
}


def strategy(use_case: UseCase) -> ProblemStrategy:
    """What the problem of the use case asks for: labels, metrics, losses, baselines."""
    return STRATEGIES[use_case.problem](use_case)
