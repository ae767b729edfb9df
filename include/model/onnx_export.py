"""A model as ONNX: the trees of an XGBoost booster as one `TreeEnsemble` node (ai.onnx.ml, version
5).

The usual converters know no categorical splits or turn each into a chain of comparisons; the
standard's set membership says what XGBoost means, so a split stays one node. Scores differ from
XGBoost's by the order of the additions alone (below 1e-6).

Source of the rules: XGBoost's model schema
(https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html). A row goes left when its
value is below the split condition; in a categorical split it goes right when its code is among the
node's categories; a missing value goes where `default_left` says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from include.errors import RegistryError
from include.model.package import ScoringModel

INPUT, OUTPUT = "matrix", "score"
ML_VERSION, VERSION, IR_VERSION = 5, 18, 9
SUM = 1
LESS, MEMBER = 1, 6
LINKS = {"binary:logistic": "Sigmoid", "reg:squarederror": None, "multi:softprob": "Softmax"}
"""Objective -> the operator that turns the margin into a score."""


def to_onnx(model: ScoringModel) -> bytes:
    """The model from the transformed matrix to the score, serialised.

    Input `matrix`: float32 of shape (rows, inputs), NaN = missing, a category its code in
    transform.json. Output `score`: float32 of shape (rows, 1), or (rows, classes). Raises
    `RegistryError` when the booster is of another kind.
    """
    return booster_to_onnx(model.booster, inputs=len(model.transform.inputs))


def booster_to_onnx(booster: Any, inputs: int) -> bytes:
    """The same for a booster alone, whose matrix has `inputs` columns."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective, kind = learner["objective"]["name"], learner["gradient_booster"]["name"]
    if objective not in LINKS or kind != "gbtree":
        raise RegistryError(
            f"A {kind} booster with objective {objective} has no ONNX form here; gbtree with"
            f" {sorted(LINKS)} has."
        )
    trees = learner["gradient_booster"]["model"]
    classes = max(1, int(learner["learner_model_param"]["num_class"]))
    ensemble = _Ensemble()
    for tree, target in zip(trees["trees"], trees["tree_info"], strict=True):
        ensemble.add(tree, int(target))
    return _model(ensemble, _margins(learner, objective, classes), LINKS[objective], inputs)


@dataclass
class _Ensemble:
    """The attributes of the node.

    A child is the index of a node, or of a leaf where the flag beside it is 1.
    """

    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    true_leaf: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    false_leaf: list[int] = field(default_factory=list)
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)
    members: list[float] = field(default_factory=list)

    def add(self, tree: dict[str, Any], target: int) -> None:
        """Append a tree of XGBoost's JSON form; depth first, as the sets of `members` stand in the
        nodes' order.
        """
        self.roots.append(len(self.features))
        left, right = tree["left_children"], tree["right_children"]
        sets = _category_sets(tree)
        if left[0] == -1:  # a tree of one leaf; the standard wants a node
            self._node(0, 0.0, LESS, 1)
            leaf = self._leaf(tree["split_conditions"][0], target)
            self.true_ids[-1], self.true_leaf[-1], self.false_ids[-1], self.false_leaf[-1] = (
                leaf,
                1,
                leaf,
                1,
            )
            return
        waiting = [(0, -1, False)]
        while waiting:
            node, parent, is_true = waiting.pop()
            condition = tree["split_conditions"][node]
            if left[node] == -1:
                self._attach(parent, is_true, self._leaf(condition, target), leaf=1)
                continue
            member = node in sets
            default_true = tree["default_left"][node] != int(member)
            at = self._node(
                tree["split_indices"][node],
                0.0 if member else condition,
                MEMBER if member else LESS,
                int(default_true),
            )
            if member:
                self.members.extend([*map(float, sets[node]), float("nan")])
            if parent >= 0:
                self._attach(parent, is_true, at, leaf=0)
            when_true, when_false = (
                (right[node], left[node]) if member else (left[node], right[node])
            )
            waiting += [(when_false, at, False), (when_true, at, True)]

    def _node(self, feature: int, split: float, mode: int, missing_true: int) -> int:
        self.features.append(feature)
        self.splits.append(split)
        self.modes.append(mode)
        self.missing_true.append(missing_true)
        for values in (self.true_ids, self.true_leaf, self.false_ids, self.false_leaf):
            values.append(0)
        return len(self.features) - 1

    def _leaf(self, weight: float, target: int) -> int:
        self.leaf_weights.append(weight)
        self.leaf_targets.append(target)
        return len(self.leaf_weights) - 1

    def _attach(self, parent: int, is_true: bool, child: int, leaf: int) -> None:
        ids, leaves = (
            (self.true_ids, self.true_leaf) if is_true else (self.false_ids, self.false_leaf)
        )
        ids[parent], leaves[parent] = child, leaf


def _category_sets(tree: dict[str, Any]) -> dict[int, list[int]]:
    """Node -> the category codes that go right."""
    parts = zip(
        tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True
    )
    return {node: tree["categories"][start : start + size] for node, start, size in parts}


def _margins(learner: dict[str, Any], objective: str, classes: int) -> np.ndarray:
    """What every margin starts from, float32 of shape (classes,): XGBoost stores it as a score."""
    text = learner["learner_model_param"]["base_score"]
    scores = np.asarray(
        json.loads(text) if text.startswith("[") else [float(text)], dtype=np.float64
    )
    margins = np.log(scores / (1.0 - scores)) if objective == "binary:logistic" else scores
    return np.broadcast_to(margins, (classes,)).astype(np.float32)


def _model(ensemble: _Ensemble, margins: np.ndarray, link: str | None, inputs: int) -> bytes:
    from onnx import TensorProto, checker, helper

    def numbers(name: str, values: list[float], kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor(name, kind, (len(values),), values)

    trees = helper.make_node(
        "TreeEnsemble",
        [INPUT],
        ["trees"],
        domain="ai.onnx.ml",
        aggregate_function=SUM,
        n_targets=len(margins),
        tree_roots=ensemble.roots,
        nodes_featureids=ensemble.features,
        nodes_splits=numbers("splits", ensemble.splits),
        nodes_modes=helper.make_tensor(
            "modes", TensorProto.UINT8, (len(ensemble.modes),), ensemble.modes
        ),
        nodes_missing_value_tracks_true=ensemble.missing_true,
        nodes_truenodeids=ensemble.true_ids,
        nodes_trueleafs=ensemble.true_leaf,
        nodes_falsenodeids=ensemble.false_ids,
        nodes_falseleafs=ensemble.false_leaf,
        leaf_targetids=ensemble.leaf_targets,
        leaf_weights=numbers("weights", ensemble.leaf_weights),
        **({"membership_values": numbers("members", ensemble.members)} if ensemble.members else {}),
    )
    nodes = [trees, helper.make_node("Add", ["trees", "base"], ["margin" if link else OUTPUT])]
    if link:
        nodes.append(helper.make_node(link, ["margin"], [OUTPUT]))
    graph = helper.make_graph(
        nodes,
        "flightdeck",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", inputs])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows", len(margins)])],
        [numbers("base", margins.tolist())],
    )
    opsets = [helper.make_opsetid("", VERSION), helper.make_opsetid("ai.onnx.ml", ML_VERSION)]
    made = helper.make_model(
        graph, producer_name="flightdeck", opset_imports=opsets, ir_version=IR_VERSION
    )
    checker.check_model(made)
    return bytes(made.SerializeToString())
