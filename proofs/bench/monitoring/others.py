"""What is compared with: Evidently's default tests of a column, and plain PSI.

Evidently's own functions are called, as its drift preset calls them per column: below 1,001
reference rows Kolmogorov-Smirnov and chi-square at p < 0.05, above Wasserstein's and
Jensen-Shannon's distance at 0.1.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass

import numpy as np

from include.stats.psi import psi
from include.stats.two_samples import Sample

NO_TELEMETRY = {"DO_NOT_TRACK": "1", "ITERATIVE_DO_NOT_TRACK": "1"}
PSI_LIMIT = 0.1
DECILES = np.linspace(0.0, 1.0, 11)[1:-1]


@dataclass(frozen=True)
class Tested:
    """A column's statistic, larger for a larger change, and whether the default calls it drift."""

    statistic: float
    drifted: bool


def evidently(serving: Sample, reference: Sample, column: str) -> Tested:
    """Evidently's default test of a column; nulls are left out, as it does."""
    os.environ.update(NO_TELEMETRY)
    import pandas as pd

    with warnings.catch_warnings():
        # Evidently's own imports warn about what they import.
        warnings.simplefilter("ignore")
        from evidently.legacy.calculations.stattests.registry import get_stattest
        from evidently.legacy.core import ColumnType

    category = column in serving.categories
    kind = ColumnType.Categorical if category else ColumnType.Numerical
    sides = []
    for part in (reference, serving):
        values = part.columns[column]
        present = values[~np.isnan(values)]
        sides.append(pd.Series(present.astype(np.int64).astype(str) if category else present))
    test = get_stattest(sides[0], sides[1], kind, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = test(sides[0], sides[1], kind, test.default_threshold)
    is_p = test.name in {"ks", "chisquare", "z"}
    value = float(result.drift_score)
    return Tested(-np.log(max(value, 1e-300)) if is_p else value, bool(result.drifted))


def plain_psi(serving: Sample, reference: Sample, column: str) -> Tested:
    """PSI over the reference's deciles, or its categories, and one bin for nulls; above 0.1."""
    ours, others = serving.columns[column], reference.columns[column]
    if column in serving.categories:
        edges = np.unique(others[~np.isnan(others)])[1:]
    else:
        edges = np.unique(np.quantile(others[~np.isnan(others)], DECILES))
    shares = []
    for values in (others, ours):
        places = np.searchsorted(edges, values, side="right")
        places[np.isnan(values)] = len(edges) + 1
        shares.append(np.bincount(places, minlength=len(edges) + 2) / len(values))
    value = psi(shares[0], shares[1])
    return Tested(value, value > PSI_LIMIT)
