"""A fitted estimator, whatever trained it: how it scores, what its file holds, and what a reviewer
is told of its inside.

Scores are float64: of shape (rows,) the probability of label 1 (binary) or the value in the label's
unit (regression), of shape (rows, classes) the probabilities in the order of the classes
(multiclass).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from include.model.answers import Answers
from include.model.skops_file import dump

if TYPE_CHECKING:
    import xgboost

BOOSTER_FILE = "model.ubj"
SKOPS_FILE = "model.skops"
MODEL_FILES = (BOOSTER_FILE, SKOPS_FILE)
PLAIN = (str, int, float, bool, type(None))


class Fitted(Protocol):
    """What a package keeps of a fitted estimator."""

    @property
    def file(self) -> str:
        """The name of its file in the package."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores of the transformed matrix, float32 of shape (rows, inputs), NaN = missing; at
        least one row.
        """

    def to_bytes(self) -> bytes:
        """The content of its file: of the same fit the same bytes, where the library allows it."""

    def describe(self) -> dict[str, Any]:
        """What it is made of, as plain JSON."""


class FittedBooster:
    """XGBoost's trees up to the best round."""

    file = BOOSTER_FILE

    def __init__(self, booster: xgboost.Booster) -> None:
        self.booster = booster

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores of the matrix."""
        return np.asarray(self.booster.inplace_predict(matrix), dtype=np.float64)

    def to_bytes(self) -> bytes:
        """XGBoost's UBJSON."""
        return bytes(self.booster.save_raw("ubj"))

    def describe(self) -> dict[str, Any]:
        """Trees, rounds, nodes, leaves, depth of the deepest tree, objective, classes."""
        learner = json.loads(bytes(self.booster.save_raw("json")))["learner"]
        model = learner["gradient_booster"]["model"]
        shapes = [
            _tree_shape(tree["left_children"], tree["right_children"]) for tree in model["trees"]
        ]
        return {
            "kind": "xgboost",
            "booster": learner["gradient_booster"]["name"],
            "objective": learner["objective"]["name"],
            "classes": int(learner["learner_model_param"]["num_class"]) or None,
            "rounds": int(self.booster.num_boosted_rounds()),
            "trees": len(shapes),
            "max_depth": max((depth for depth, _, _ in shapes), default=0),
            "nodes": sum(nodes for _, nodes, _ in shapes),
            "leaves": sum(leaves for _, _, leaves in shapes),
        }


class FittedSklearn:
    """A fitted estimator or pipeline of scikit-learn."""

    file = SKOPS_FILE

    def __init__(self, estimator: Any, answers: Answers) -> None:
        self.estimator = estimator
        self.answers = answers

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores of the matrix; a class that the training rows did not hold has probability 0."""
        return self.answers.from_sklearn(self.estimator, matrix)

    def to_bytes(self) -> bytes:
        """skops' zip in its canonical form."""
        return dump(self.estimator)

    def describe(self) -> dict[str, Any]:
        """The steps with what was changed from their defaults, and what could be counted:
        coefficients, trees, nodes, iterations.
        """
        steps = getattr(self.estimator, "steps", None) or [("model", self.estimator)]
        return {
            "kind": "sklearn",
            "inputs": int(self.estimator.n_features_in_),
            "steps": [{"name": str(name), **_describe_step(step)} for name, step in steps],
        }


def _tree_shape(left: list[int], right: list[int]) -> tuple[int, int, int]:
    """Depth, reachable nodes and leaves of a tree given as child indices (-1 = none)."""
    depth = nodes = leaves = 0
    level = [0]
    while level:
        nodes += len(level)
        leaves += sum(left[node] < 0 for node in level)
        level = [child for node in level if left[node] >= 0 for child in (left[node], right[node])]
        depth += bool(level)
    return depth, nodes, leaves


def _describe_step(step: Any) -> dict[str, Any]:
    description: dict[str, Any] = {"class": f"{type(step).__module__}.{type(step).__qualname__}"}
    if hasattr(step, "get_params"):
        usual = _defaults(type(step))
        parameters = {
            name: value
            for name, value in step.get_params(deep=False).items()
            if isinstance(value, PLAIN)
        }
        description["parameters"] = {
            name: value
            for name, value in parameters.items()
            if name not in usual or usual[name] != value
        }
    description.update(_counts(step))
    return description


def _defaults(kind: type) -> dict[str, Any]:
    import inspect

    return {
        name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()
    }


def _counts(step: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    if hasattr(step, "coef_"):
        counts["coefficients"] = int(np.size(step.coef_))
    if getattr(step, "n_iter_", None) is not None:
        counts["iterations"] = int(np.max(step.n_iter_))
    trees = [
        tree.tree_ for tree in np.ravel(getattr(step, "estimators_", [])) if hasattr(tree, "tree_")
    ]
    if hasattr(step, "tree_"):
        trees = [step.tree_]
    if trees:
        counts |= {
            "trees": len(trees),
            "nodes": sum(int(tree.node_count) for tree in trees),
            "leaves": sum(int(tree.n_leaves) for tree in trees),
            "max_depth": max(int(tree.max_depth) for tree in trees),
        }
    predictors = [tree for group in getattr(step, "_predictors", []) for tree in group]
    if predictors:
        counts |= {
            "trees": len(predictors),
            "nodes": sum(len(tree.nodes) for tree in predictors),
            "leaves": sum(int(tree.get_n_leaf_nodes()) for tree in predictors),
            "max_depth": max(int(tree.get_max_depth()) for tree in predictors),
        }
    return counts
