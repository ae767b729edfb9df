"""How sure means and areas under the ROC curve are where rows share a cause: closed forms, one pass
over the rows.

A metric is about the sum of its rows' influences, and rows of different blocks are independent: so
the variance is the sum of squares of the blocks' sums. Of a mean that is the cluster-robust
variance (Liang and Zeger, 1986), of an AUC that of Obuchowski (1997, Biometrics 53, 567-578), which
sums DeLong's placements per block. Where every row is a block of its own both are those of
independent rows (DeLong et al., 1988). Blocks are few, so that bounds are Student's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MIN_BLOCKS = 2
BAND = 0.05
"""The level of the bounds that people are shown: 95 of 100 samples lie within."""


@dataclass(frozen=True)
class StandardError:
    """A standard error and its degrees of freedom, which are infinite where it is not estimated
    from blocks.
    """

    value: float
    freedom: float = math.inf

    def within(self, level: float = BAND) -> float:
        """How far from its expectation a value lies at most but in a share `level` of samples, to
        both sides together.
        """
        from scipy.special import ndtri, stdtrit

        if math.isinf(self.freedom):
            return float(self.value * ndtri(1.0 - level / 2.0))
        return float(self.value * stdtrit(self.freedom, 1.0 - level / 2.0))

    def beside(self, other: StandardError) -> StandardError:
        """That of a difference between two independent values, by Welch and Satterthwaite."""
        value = math.hypot(self.value, other.value)
        if value == 0.0:
            return StandardError(0.0)
        terms = sum((one.value / value) ** 4 / one.freedom for one in (self, other))
        return StandardError(value, 1.0 / terms if terms else math.inf)


def block_errors(
    deviations: Mapping[str, np.ndarray],
    blocks: np.ndarray,
    ranked: tuple[np.ndarray, np.ndarray] | None = None,
) -> dict[str, float]:
    """`<name>_block_error`, the standard error of the mean of each of the deviations, shape
    (rows,); of `ranked`, labels and scores, `auc_block_error`; and the number of `blocks`.

    One block alone says nothing of how much blocks vary, and one class nothing of an AUC: such
    errors are left out.
    """
    count = len(np.unique(blocks))
    errors = {"blocks": float(count)}
    if count < MIN_BLOCKS:
        return errors
    for name, values in deviations.items():
        errors[f"{name}_block_error"] = mean_error(values, blocks).value
    if ranked is not None and 0 < ranked[0].sum() < len(ranked[0]):
        errors["auc_block_error"] = auc_error(*ranked, blocks).value
    return errors


def says_how_sure(name: str) -> bool:
    """Whether a number is one of `block_errors`, which is said of a metric and is none itself."""
    return name == "blocks" or name.endswith("_block_error")


def mean_error(values: np.ndarray, blocks: np.ndarray) -> StandardError:
    """Of the mean of `values`; both of shape (rows,)."""
    return influence_error((values - values.mean()) / len(values), blocks)


def auc_error(labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray) -> StandardError:
    """Of the AUC of rows of both classes; all of shape (rows,), `labels` 0 or 1."""
    positive = labels == 1
    others = np.sort(scores[~positive]), np.sort(scores[positive])
    placements = np.empty(len(scores))
    placements[positive] = _below(others[0], scores[positive])
    placements[~positive] = 1.0 - _below(others[1], scores[~positive])
    auc = placements[positive].mean()
    return influence_error(
        (placements - auc) / np.where(positive, positive.sum(), (~positive).sum()), blocks
    )


def influence_error(influence: np.ndarray, blocks: np.ndarray) -> StandardError:
    """Of a metric from its rows' influences, which add up to nothing; both of shape (rows,). It is
    infinite where all rows lie in one block.
    """
    _, member = np.unique(blocks, return_inverse=True)
    sums = np.bincount(member, weights=influence)
    count = len(sums)
    if count < MIN_BLOCKS:
        return StandardError(math.inf, 1.0)
    return StandardError(float(np.sqrt((sums**2).sum() * count / (count - 1))), count - 1.0)


def _below(ranked: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The share of the ranked values below each of the values, ties half."""
    left, right = (np.searchsorted(ranked, values, side=side) for side in ("left", "right"))
    return np.asarray((left + right) / (2.0 * len(ranked)))
