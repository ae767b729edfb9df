"""The population stability index (PSI): how far the shares of bins have moved.

    PSI = sum over bins of (a_i - e_i) * ln(a_i / e_i)

with e_i the expected and a_i the actual share: the symmetrised Kullback-Leibler divergence
(Jeffreys, 1946; Siddiqi, "Credit Risk Scorecards", 2006, with its reading 0.1 = some, 0.25 = large
shift). Shares below `FLOOR` count as `FLOOR`, or one row in an empty bin would be infinite.

PSI is an effect size and does not shrink as rows grow, but few rows in many bins make it large by
chance. Under no drift it is about (1/n + 1/m) times a chi-square variable with bins - 1 degrees of
freedom (Yurdakul, "Statistical properties of the population stability index", 2018; n and m the
rows on both sides). `psi_noise` is its 99.9 % quantile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from include.errors import DataError

FLOOR = 1e-4
NOISE_Z = 3.0902


def psi(expected: Sequence[float] | np.ndarray, actual: Sequence[float] | np.ndarray) -> float:
    """The population stability index of two lists of shares, bin by bin;

    0 for equal ones, symmetric, never negative.
    """
    if len(expected) != len(actual) or not len(expected):
        raise DataError(
            f"A PSI needs the same bins on both sides; got {len(expected)} and {len(actual)}."
        )
    e = np.maximum(np.asarray(expected, dtype=np.float64), FLOOR)
    a = np.maximum(np.asarray(actual, dtype=np.float64), FLOOR)
    return float(np.sum((a - e) * np.log(a / e)))


def psi_noise(bins: int, rows: int, reference_rows: int) -> float:
    """What PSI exceeds in one of a thousand intervals without drift, for independent rows (module
    docstring).

    The chi-square quantile is Wilson and Hilferty's (1931) cube-root approximation, never too small
    and at most 4 % too large.
    """
    freedom = max(bins - 1, 1)
    spread = 2.0 / (9.0 * freedom)
    quantile = freedom * (1.0 - spread + NOISE_Z * math.sqrt(spread)) ** 3
    return (1.0 / rows + 1.0 / reference_rows) * quantile
