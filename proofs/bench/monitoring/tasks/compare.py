"""One comparison of serving with reference rows in a fresh process: by the shipped checks, plain
NumPy, or Evidently.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.checks.schema_skew import schema_skew
from include.spec import Monitoring
from include.stats.psi import psi
from include.stats.two_samples import Sample
from proofs.bench.monitoring.others import DECILES, evidently
from proofs.bench.monitoring.world import sample

REFERENCE_ROWS = 100_000
DAYS = 30
SEED = 15


def ours(arguments: dict[str, Any]) -> dict[str, Any]:
    """Schema skew and distribution over twenty inputs, in `DAYS` blocks each side."""
    serving, reference = _sides(arguments)
    window = Window(Side(_blocked(serving)), Side(_blocked(reference)), Monitoring())
    started = time.perf_counter()
    findings = [*schema_skew(window), *distribution(window)]
    return {"seconds": time.perf_counter() - started, "findings": len(findings)}


def plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Deciles of the reference, shares of both sides and PSI by NumPy, and nulls, least and largest
    values: what the shipped checks look at, untested.
    """
    serving, reference = _sides(arguments)
    started = time.perf_counter()
    values = []
    for name, others in reference.columns.items():
        present = others[~np.isnan(others)]
        edges = np.unique(np.quantile(present, DECILES))
        shares = []
        for side in (others, serving.columns[name]):
            places = np.searchsorted(edges, side, side="right")
            places[np.isnan(side)] = len(edges) + 1
            shares.append(np.bincount(places, minlength=len(edges) + 2) / len(side))
            values += [float(np.nanmin(side)), float(np.nanmax(side))]
        values.append(psi(shares[0], shares[1]))
    return {"seconds": time.perf_counter() - started, "values": len(values)}


def by_evidently(arguments: dict[str, Any]) -> dict[str, Any]:
    """Evidently's default test of every column."""
    serving, reference = _sides(arguments)
    evidently(
        sample(50, np.random.default_rng(1)), sample(50, np.random.default_rng(2)), "number_0"
    )
    started = time.perf_counter()
    drifted = [evidently(serving, reference, name).drifted for name in reference.columns]
    return {"seconds": time.perf_counter() - started, "drifted": sum(drifted)}


def _sides(arguments: dict[str, Any]) -> tuple[Sample, Sample]:
    random = np.random.default_rng(SEED)
    rows = int(arguments["rows"])
    return sample(rows, random), sample(min(rows, REFERENCE_ROWS), random)


def _blocked(rows: Sample) -> Sample:
    return Sample(rows.columns, rows.categories, np.arange(rows.rows) * DAYS // rows.rows)
