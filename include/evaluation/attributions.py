"""How much each input moves the score: exact TreeSHAP contributions (Lundberg et al., 2020) in log odds, by XGBoost itself."""

from __future__ import annotations

import numpy as np

from include.registry.artifact import ScoringModel

SAMPLE_ROWS = 2000


def contributions(model: ScoringModel, matrix: np.ndarray) -> np.ndarray:
    """One contribution per row and input, float64 of shape (rows, inputs); with the last column, the bias, they sum to the log odds."""
    import xgboost

    data = xgboost.DMatrix(
        matrix,
        feature_names=model.transform.feature_names,
        feature_types=model.transform.feature_types,
        enable_categorical=True,
    )
    return np.asarray(model.booster.predict(data, pred_contribs=True), dtype=np.float64)


def attribution_summary(model: ScoringModel, matrix: np.ndarray, *, rows: int = SAMPLE_ROWS) -> list[dict[str, float | str]]:
    """Per input, largest first: mean absolute contribution, its share of all, mean contribution; over `rows` rows, evenly spread."""
    chosen = np.unique(np.linspace(0, len(matrix) - 1, min(rows, len(matrix))).round().astype(int))
    found = contributions(model, matrix[chosen])[:, :-1]
    sizes = np.abs(found).mean(axis=0)
    total = float(sizes.sum()) or 1.0
    return [
        {
            "input": model.transform.feature_names[position],
            "mean_absolute": float(sizes[position]),
            "share": float(sizes[position]) / total,
            "mean": float(found[:, position].mean()),
        }
        for position in np.argsort(-sizes, kind="stable").tolist()
    ]
