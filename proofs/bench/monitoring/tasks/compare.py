"""One comparison of serving with reference rows in a fresh process: by the shipped checks, plain
NumPy, or Evidently.

Before the clock starts each has compared a few rows, so that no import is timed. `inputs_mb` is the
process's memory with the rows, before they are compared.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import psutil

from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.checks.schema_skew import schema_skew
from include.monitoring.window import MOST_ROWS
from include.spec import Monitoring
from include.stats.psi import psi
from include.stats.two_samples import Sample
from proofs.bench.monitoring.others import DECILES, evidently
from proofs.bench.monitoring.world import CATEGORY, NUMBER, sample

REFERENCE_ROWS = 100_000
DAYS = 30
SEED = 15
FEW = 300


def ours(arguments: dict[str, Any]) -> dict[str, Any]:
    """Schema skew and distribution over twenty inputs, in `DAYS` blocks each side; of very many
    rows every so-manieth, as the shipped window takes them.
    """
    serving, reference = _sides(arguments)
    _compare_ours(*_few(), Monitoring(minimum_rows=1))
    inputs, started = _resident_mb(), time.perf_counter()
    findings = _compare_ours(serving, reference, Monitoring())
    return _answer(started, inputs, findings=findings)


def plain(arguments: dict[str, Any]) -> dict[str, Any]:
    """Deciles of the reference, shares of both sides and PSI by NumPy, and nulls, least and largest
    values: what the shipped checks look at, untested.
    """
    serving, reference = _sides(arguments)
    _compare_plainly(*_few())
    inputs, started = _resident_mb(), time.perf_counter()
    values = _compare_plainly(serving, reference)
    return _answer(started, inputs, values=values)


def _compare_plainly(serving: Sample, reference: Sample) -> int:
    values: list[float] = []
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
    return len(values)


def _compare_ours(serving: Sample, reference: Sample, limits: Monitoring) -> int:
    window = Window(Side(_blocked(_some(serving))), Side(_blocked(_some(reference))), limits)
    return len([*schema_skew(window), *distribution(window)])


def _some(rows: Sample) -> Sample:
    step = max(1, -(-rows.rows // MOST_ROWS))
    columns = {name: values[::step] for name, values in rows.columns.items()}
    return Sample(columns, rows.categories)


def by_evidently(arguments: dict[str, Any]) -> dict[str, Any]:
    """Evidently's default test of every column."""
    serving, reference = _sides(arguments)
    for column in (NUMBER, CATEGORY):
        evidently(*_few(), column)
    inputs, started = _resident_mb(), time.perf_counter()
    drifted = [evidently(serving, reference, name).drifted for name in reference.columns]
    return _answer(started, inputs, drifted=sum(drifted))


def _answer(started: float, inputs_mb: float, **counted: int) -> dict[str, Any]:
    return {"seconds": time.perf_counter() - started, "inputs_mb": inputs_mb, **counted}


def _resident_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def _few() -> tuple[Sample, Sample]:
    return sample(FEW, np.random.default_rng(1)), sample(FEW, np.random.default_rng(2))


def _sides(arguments: dict[str, Any]) -> tuple[Sample, Sample]:
    random = np.random.default_rng(SEED)
    rows = int(arguments["rows"])
    return sample(rows, random), sample(min(rows, REFERENCE_ROWS), random)


def _blocked(rows: Sample) -> Sample:
    return Sample(rows.columns, rows.categories, np.arange(rows.rows) * DAYS // rows.rows)
