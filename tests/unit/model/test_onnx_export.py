from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import xgboost

from include.errors import RegistryError
from include.model.onnx_export import booster_to_onnx

ROWS, TYPES = 4000, ["c", "q", "q", "c", "q"]
DEEP = {"max_depth": 9, "min_child_weight": 1, "eta": 0.2, "nthread": 1, "max_cat_to_onehot": 4}


def rows(seed: int) -> np.ndarray:
    """A category of 110 values (more than any machine word), one of 3, and numbers on few values,
    so that they meet their splits.
    """
    draw = np.random.default_rng(seed)
    numbers = np.round(draw.normal(size=(ROWS, 3)), 1)
    matrix = np.column_stack(
        [draw.integers(0, 110, ROWS), numbers[:, :2], draw.integers(0, 3, ROWS), numbers[:, 2]]
    )
    matrix[draw.random(matrix.shape) < 0.08] = np.nan
    return matrix.astype(np.float32)


def fit(objective: str, **more: Any) -> xgboost.Booster:
    matrix = rows(1)
    raw = (
        np.nan_to_num(matrix[:, 1])
        + (np.nan_to_num(matrix[:, 0]) % 7 > 3)
        + np.nan_to_num(matrix[:, 3])
    )
    label = {"binary:logistic": raw > 1.5, "multi:softprob": np.clip(raw, 0, 2).astype(int)}.get(
        objective, raw
    )
    data = xgboost.DMatrix(matrix, label=label, feature_types=TYPES, enable_categorical=True)
    return xgboost.train({"objective": objective, **DEEP, **more}, data, num_boost_round=60)


def answers(content: bytes, *matrices: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"matrix": matrix})[0] for matrix in matrices])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "more"),
    [("binary:logistic", {}), ("reg:squarederror", {}), ("multi:softprob", {"num_class": 3})],
)
def test_scores_equal_xgboosts_on_missing_values_split_values_and_many_categories(objective, more):
    booster, matrix = fit(objective, **more), rows(2)
    expected = booster.inplace_predict(matrix).reshape(ROWS, -1)
    content = booster_to_onnx(booster, inputs=len(TYPES))
    tolerance = 1e-6 if objective != "reg:squarederror" else 1e-6 * np.abs(expected).max()
    assert np.abs(answers(content, matrix) - expected).max() <= tolerance
    alone = answers(content, *(matrix[row : row + 1] for row in range(500)))
    assert np.abs(alone - expected[:500]).max() <= tolerance


def test_categorical_splits_are_in_the_model_that_is_compared():
    trees = fit("binary:logistic").trees_to_dataframe()
    assert trees["Category"].map(lambda value: isinstance(value, list) and len(value) > 32).any()


def test_trees_of_one_leaf_and_a_category_beyond_the_trained_ones():
    constant = xgboost.DMatrix(
        rows(1), label=np.full(ROWS, 0.25), feature_types=TYPES, enable_categorical=True
    )
    flat = xgboost.train(
        {"objective": "reg:squarederror", "base_score": 0.1, **DEEP}, constant, num_boost_round=3
    )
    strange = rows(3)
    strange[:, 0] = 5000
    for booster in (flat, fit("binary:logistic")):
        found = answers(booster_to_onnx(booster, inputs=len(TYPES)), strange)
        assert np.abs(found - booster.inplace_predict(strange).reshape(ROWS, 1)).max() <= 1e-6


@pytest.mark.parametrize(
    ("objective", "more"), [("binary:logistic", {"booster": "dart"}), ("count:poisson", {})]
)
def test_another_kind_of_booster_is_refused_by_name(objective, more):
    small = rows(1)
    data = xgboost.DMatrix(
        small, label=np.arange(ROWS) % 2, feature_types=TYPES, enable_categorical=True
    )
    booster = xgboost.train({"objective": objective, "nthread": 1, **more}, data, num_boost_round=2)
    with pytest.raises(RegistryError, match=more.get("booster", objective)):
        booster_to_onnx(booster, inputs=len(TYPES))
