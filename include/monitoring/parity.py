"""Parity: does the endpoint give the score that batch scoring gives the same target with the same
model?
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from include.features.transform import FeatureTransform
from include.spec import UseCase

TOLERANCE = 1e-6


def compare(
    use_case: UseCase, transform: FeatureTransform, batch: pl.DataFrame, online: pl.DataFrame
) -> dict[str, Any]:
    """Score differences of online answers and batch predictions with the same id and
    `model_version`.

    `compared` pairs, the largest and mean absolute difference (null without a pair) and how many
    exceed `TOLERANCE`; under `same_inputs` the same for the pairs in which the model read the same
    values. There the difference must vanish: if it does not, the two paths compute differently.
    Elsewhere they saw different values, for example features that are older online.
    """
    keys = [use_case.id_column, "model_version"]
    columns = [name for name in transform.columns if name != use_case.id_column]
    answered = online.drop_nulls(use_case.id_column).select(*keys, "score", *columns)
    pairs = answered.join(
        batch.select(*keys, "score", *columns), on=keys, how="inner", suffix="__batch"
    )
    same = (
        pairs.filter(pl.all_horizontal(_same(pairs, name) for name in columns))
        if columns
        else pairs
    )
    return {**_differences(pairs), "tolerance": TOLERANCE, "same_inputs": _differences(same)}


def _same(pairs: pl.DataFrame, name: str) -> pl.Expr:
    """Equal or both null, numbers in the single precision in which the model reads them."""
    left, right = pl.col(name), pl.col(f"{name}__batch")
    if pairs.schema[name].is_numeric():
        left, right = left.cast(pl.Float32), right.cast(pl.Float32)
    return left.eq_missing(right)


def _differences(pairs: pl.DataFrame) -> dict[str, Any]:
    if pairs.height == 0:
        return {"compared": 0, "largest": None, "mean": None, "above_tolerance": 0}
    gaps = np.abs(pairs["score"].to_numpy() - pairs["score__batch"].to_numpy())
    return {
        "compared": pairs.height,
        "largest": float(gaps.max()),
        "mean": float(gaps.mean()),
        "above_tolerance": int(np.count_nonzero(gaps > TOLERANCE)),
    }
