"""A row's score is explained by exact TreeSHAP contributions (Lundberg et al., 2020) by input, as
XGBoost computes them.

Base value and contributions of a row add up to its raw score, the margin in log odds; the logistic
function of that is its probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.inference_log.writer import is_sampled
from include.model.package import ScoringModel
from serving.contract.errors import UnanswerableError


@dataclass(frozen=True)
class Explanation:
    """One row's contributions in the model's raw score."""

    base_value: float
    contributions: dict[str, float]

    def as_answer(self) -> dict[str, object]:
        """Return the part of an answer."""
        raw_score = self.base_value + sum(self.contributions.values())
        return {
            "base_value": self.base_value,
            "raw_score": raw_score,
            "contributions": self.contributions,
        }

    def as_logged(self) -> dict[str, float]:
        """Return the inference log's `attributions`."""
        return {"base_value": self.base_value, **self.contributions}


def is_explainable(model: ScoringModel) -> bool:
    """Say whether the model has one raw score that trees add up to."""
    return model.metadata.is_explainable


def rows_to_explain(
    model: ScoringModel, asks_why: Sequence[bool], identifiers: Sequence[str], share: float
) -> list[int]:
    """Return the positions of the rows that were asked about, or that belong to the logged sample
    by their prediction ids.

    Nothing is sampled of a model that cannot be explained: only who asks is refused.
    """
    share = share if is_explainable(model) else 0.0
    if share == 0.0 and not any(asks_why):
        return []
    return [row for row, asks in enumerate(asks_why) if asks or is_sampled(identifiers[row], share)]


def explain_rows(
    model: ScoringModel, matrix: np.ndarray, positions: Sequence[int]
) -> dict[int, Explanation]:
    """Return the explanations of some rows of a transformed matrix; raise `UnanswerableError` (409)
    for a model without trees.
    """
    if not positions:
        return {}
    import xgboost

    if not is_explainable(model):
        text = (
            "Contributions need the trees of one XGBoost score; the model in service is"
            f" {model.metadata.estimator}. Ask /predict."
        )
        raise UnanswerableError(409, "not_explainable", text)
    booster = model.booster
    data = xgboost.DMatrix(matrix[list(positions)], nthread=1)
    # The transform has made this very matrix: checking names and types again would cost as much as
    # the contributions.
    shares = np.asarray(
        booster.predict(data, pred_contribs=True, validate_features=False), dtype=np.float64
    )
    names = model.transform.feature_names
    return {
        position: Explanation(float(row[-1]), dict(zip(names, row[:-1].tolist(), strict=True)))
        for position, row in zip(positions, shares, strict=True)
    }
