"""The distribution of a model's inputs and scores on its training split, and the same bins for any
later rows.

Monitoring bins its rows with `bin_shares`, so that a drift is never an artefact of two ways to cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from include.features.transform import FeatureTransform

NUMBER_BINS = 10
SCORE_BINS = 10


def build_reference(
    transform: FeatureTransform, matrix: np.ndarray, scores: np.ndarray
) -> dict[str, Any]:
    """reference.json for the training matrix, float32 of shape (rows, inputs), and its scores of
    shape (rows,).

    Per input: `kind`, `edges` (inner edges of deciles, distinct), `categories`, `shares` (one per
    bin or category and a last one for missing, which holds unknown categories too; they sum to 1)
    and `missing_share`. `score` likewise.
    """
    return reference_of(transform, lambda position: matrix[:, position], scores)


def reference_of(
    transform: FeatureTransform, column: Callable[[int], np.ndarray], scores: np.ndarray
) -> dict[str, Any]:
    """The same of a matrix of which `column(position)` gives one column, float32 of shape (rows,),
    at a time.
    """
    inputs: dict[str, Any] = {}
    for position, item in enumerate(transform.inputs):
        values = column(position)
        if item.kind == "category":
            entry: dict[str, Any] = {
                "kind": "category",
                "edges": [],
                "categories": list(transform.categories[item.name]),
            }
        else:
            entry = {
                "kind": "number",
                "edges": _edges(values, NUMBER_BINS),
                "categories": [],
            }
        shares = bin_shares(entry, values)
        inputs[item.name] = {**entry, "shares": shares, "missing_share": shares[-1]}
    score: dict[str, Any] = {
        "kind": "number",
        "edges": _edges(scores, SCORE_BINS),
        "categories": [],
    }
    return {
        "rows": len(scores),
        "inputs": inputs,
        "score": {**score, "shares": bin_shares(score, scores)},
    }


def class_reference(classes: Sequence[str], scores: np.ndarray) -> dict[str, Any]:
    """The entry of the predicted class for probabilities of shape (rows, classes): a category whose
    codes are the classes' places.
    """
    entry: dict[str, Any] = {"kind": "category", "edges": [], "categories": list(classes)}
    return {**entry, "shares": bin_shares(entry, scores.argmax(axis=1).astype(np.float64))}


def bin_shares(entry: Mapping[str, Any], values: np.ndarray) -> list[float]:
    """Shares of `values` (a column of the transformed matrix, or scores; shape (rows,)) in the bins
    of a reference entry.

    The bins are those of `bin_counts`. No rows: all 0.
    """
    return [
        float(count / len(values)) if len(values) else 0.0 for count in bin_counts(entry, values)
    ]


def bin_counts(entry: Mapping[str, Any], values: np.ndarray) -> list[int]:
    """Rows per bin of a reference entry; counts of parts of the rows may be added.

    Bin i of a number holds `edges[i-1] <= value < edges[i]`, a category's bin its code; the last
    bin holds NaN.
    """
    present = values[~np.isnan(values)]
    if entry["kind"] == "category":
        bins, codes = len(entry["categories"]), present.astype(np.int64)
    else:
        bins, codes = (
            len(entry["edges"]) + 1,
            np.searchsorted(np.asarray(entry["edges"], dtype=np.float64), present, side="right"),
        )
    return [
        int(count)
        for count in np.append(np.bincount(codes, minlength=bins), len(values) - len(present))
    ]


def _edges(values: np.ndarray, bins: int) -> list[float]:
    """Inner quantiles of `values`; a value that fills a whole bin (no rain at all) gets a bin of
    its own.
    """
    present = values[~np.isnan(values)].astype(np.float64)
    if present.size == 0:
        return []
    quantiles, counts = np.unique(
        np.quantile(present, np.linspace(0.0, 1.0, bins + 1)[1:-1]), return_counts=True
    )
    # The next number that the float32 matrix can hold ends the point mass's bin.
    above = np.nextafter(quantiles[counts > 1].astype(np.float32), np.float32(np.inf)).astype(
        np.float64
    )
    return [float(edge) for edge in np.unique(np.concatenate([quantiles, above]))]
