"""The strategy of a use case's problem."""

from __future__ import annotations

from typing import Any

from include.problems.base import ProblemStrategy
from include.problems.binary import BinaryStrategy
from include.problems.multiclass import MulticlassStrategy
from include.problems.regression import RegressionStrategy
from include.spec import ProblemKind, UseCase

STRATEGIES: dict[ProblemKind, type[ProblemStrategy[Any]]] = {
    "binary": BinaryStrategy,
    "multiclass": MulticlassStrategy,
    "regression": RegressionStrategy,
}


def strategy_of(use_case: UseCase) -> ProblemStrategy[Any]:
    """What the problem of the use case asks for: labels, metrics, losses, baselines, answers."""
    return STRATEGIES[use_case.problem.kind](use_case, use_case.problem)
