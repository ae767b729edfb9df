"""What a candidate has to beat to be worth its trouble: the last known value of one input, and a simpler model.

The prior (the training split's base rate, for every row) is in `evaluate` already.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from include.errors import DataError
from include.evaluation.metrics import summary
from include.features.transform import FeatureTransform
from include.spec import UseCase

LAST_VALUE = "last_value"
SIMPLE = "simple"
JUDGED = ("test", "golden")
CERTAINTY = 0.01
"""A rate of 0 or 1 over few rows is no certainty: a last value is kept this far from both, so that its log loss stays finite."""
FIT_ROWS = 20_000
ITERATIONS = 200


def last_value(use_case: UseCase, transform: FeatureTransform, matrix: np.ndarray, base_rate: float) -> np.ndarray:
    """The declared `baseline_input` as the probability, float64 of shape (rows,); the base rate where it is missing.

    Raises `DataError` when the use case declares none.
    """
    if use_case.baseline_input is None:
        raise DataError(f"{use_case.name} declares no baseline_input: name the input that holds the latest known rate.")
    values = matrix[:, transform.feature_names.index(use_case.baseline_input)].astype(np.float64)
    return np.clip(np.where(np.isnan(values), base_rate, values), CERTAINTY, 1.0 - CERTAINTY)


def simple_model(
    transform: FeatureTransform, train: np.ndarray, labels: np.ndarray, others: Mapping[str, np.ndarray], *, seed: int
) -> dict[str, np.ndarray]:
    """Probabilities of a logistic regression for each matrix of `others`: medians for missing numbers, one column per category.

    Matrices are float32 of shape (rows, inputs), as the transform gives them. Fitted on the newest `FIT_ROWS` rows of `train`.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = [position for position, kind in enumerate(transform.feature_types) if kind == "c"]
    numbers = [position for position, kind in enumerate(transform.feature_types) if kind != "c"]
    prepare = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()), numbers),
            ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32), categories),
        ]
    )
    model = make_pipeline(prepare, LogisticRegression(max_iter=ITERATIONS, tol=1e-3, random_state=seed))
    model.fit(train[-FIT_ROWS:], labels[-FIT_ROWS:])
    return {name: np.asarray(model.predict_proba(matrix)[:, 1], dtype=np.float64) for name, matrix in others.items()}


def baseline_metrics(
    use_case: UseCase,
    transform: FeatureTransform,
    matrices: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    base_rate: float,
) -> dict[str, dict[str, dict[str, float]]]:
    """`{baseline: {split: metrics}}` on `JUDGED` splits. What cannot be had is left out: the gate refuses it by name."""
    wanted = {name: matrices[name] for name in JUDGED if name in matrices}
    found: dict[str, dict[str, np.ndarray]] = {}
    if use_case.baseline_input is not None:
        found[LAST_VALUE] = {name: last_value(use_case, transform, matrix, base_rate) for name, matrix in wanted.items()}
    if "train" in matrices:
        found[SIMPLE] = simple_model(transform, matrices["train"], labels["train"], wanted, seed=use_case.training.seed)
    return {
        baseline: {split: _only(summary(labels[split], scores)) for split, scores in parts.items()} for baseline, parts in found.items()
    }


def _only(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in ("auc", "brier", "logloss") if name in metrics}
