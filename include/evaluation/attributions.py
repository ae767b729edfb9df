"""How much each input moves the score.

Of XGBoost by exact TreeSHAP contributions (Lundberg et al., 2020), in log odds (in the label's unit
for a regression), by XGBoost itself. Of anything else by permutation: how far the score moves where
the input's values are exchanged between rows, the rest as it is (Breiman, 2001, without labels), in
probability or in the label's unit. The two are not comparable; `method` names which one it was.
"""

from __future__ import annotations

import numpy as np

from include.model.fitted import FittedBooster
from include.model.package import ScoringModel

SAMPLE_ROWS = 2000
SEED = 20010401
TREESHAP = "treeshap"
PERMUTATION = "permutation"


def method(model: ScoringModel) -> str:
    """`treeshap` or `permutation`."""
    return TREESHAP if isinstance(model.fitted, FittedBooster) else PERMUTATION


def contributions(model: ScoringModel, matrix: np.ndarray) -> np.ndarray:
    """One contribution per row and input, float64 of shape (rows, inputs + 1); with the last
    column, the bias, they sum to the log odds.

    Of several classes the shape is (rows, classes, inputs + 1).
    """
    import xgboost

    data = xgboost.DMatrix(
        matrix,
        feature_names=model.transform.feature_names,
        feature_types=model.transform.feature_types,
        enable_categorical=True,
    )
    return np.asarray(model.booster.predict(data, pred_contribs=True), dtype=np.float64)


def attributed(model: ScoringModel, matrix: np.ndarray) -> np.ndarray:
    """What each input makes of each row's score, by `method`, float64 of shape (rows, inputs); of
    several classes the sum of its absolute contributions to them.
    """
    if method(model) == TREESHAP:
        values = contributions(model, matrix)[..., :-1]
    else:
        values = permutations(model, matrix)
    return values if values.ndim == len(("rows", "inputs")) else np.abs(values).sum(axis=1)


def spread_rows(count: int, rows: int = SAMPLE_ROWS) -> np.ndarray:
    """The positions of at most `rows` of so many rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(rows, count)).round().astype(int))


def attribution_summary(
    model: ScoringModel, matrix: np.ndarray, *, rows: int = SAMPLE_ROWS
) -> list[dict[str, float | str]]:
    """Per input, largest first: mean absolute contribution, its share of all, mean contribution;
    over `rows` rows, evenly spread.

    Of several classes the mean over them too.
    """
    chosen = spread_rows(len(matrix), rows)
    attributed = (
        contributions(model, matrix[chosen])[..., :-1]
        if method(model) == TREESHAP
        else permutations(model, matrix[chosen])
    )
    attributed = attributed.reshape(-1, attributed.shape[-1])
    sizes = np.abs(attributed).mean(axis=0)
    total = float(sizes.sum()) or 1.0
    return [
        {
            "input": model.transform.feature_names[position],
            "mean_absolute": float(sizes[position]),
            "share": float(sizes[position]) / total,
            "mean": float(attributed[:, position].mean()),
        }
        for position in np.argsort(-sizes, kind="stable").tolist()
    ]


def permutations(model: ScoringModel, matrix: np.ndarray) -> np.ndarray:
    """Score less the score with one input exchanged between rows, float64 of shape (rows, inputs),
    or (rows, classes, inputs).
    """
    scores, order = model.score_matrix(matrix), np.random.default_rng(SEED).permutation(len(matrix))
    moved = []
    for position in range(matrix.shape[1]):
        exchanged = matrix.copy()
        exchanged[:, position] = matrix[order, position]
        moved.append(scores - model.score_matrix(exchanged))
    return np.stack(moved, axis=-1)
