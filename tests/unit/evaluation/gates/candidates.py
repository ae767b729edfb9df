"""Candidates on scores whose right judgement is known."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.evaluation.gates.base import Champion, GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.slices import SlicePart
from include.model.inspection import Inspection
from include.model.package import ScoringModel
from include.registry.metric_names import SliceIdentity
from include.stats.metrics import brier, log_loss, summary
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels, under_limits

ROWS = 3000
DIGEST = "d" * 64
LIMITS = USE_CASE.gates
MEASURED = {
    "golden_difference": 0.0,
    "libraries": {},
    "latency_p50_ms": 0.2,
    "latency_p99_ms": 0.5,
    "batch_ms": 4.0,
}
SLICES = {"slice_brier", "slice_calibration"}
MODEL = {"perturbation", "missing_values", "attribution"}
ALWAYS = {
    "evaluated_object",
    "auc",
    "brier",
    "calibration",
    "baselines",
    "segments",
    *SLICES,
    *MODEL,
}
PACKAGE = {"package_size", "artefact_safety", "runtime_validity", "latency"}


@cache
def fitted() -> tuple[ScoringModel, pl.DataFrame]:
    """A real model and rows that it did not see."""
    with tempfile.TemporaryDirectory() as folder:
        return fitted_package(Path(folder) / "package", parcels())[1], parcels(ROWS, seed=9)


def candidate(
    quality: float = 1.0, champion_quality: float | None = None, *, seed: int = 1
) -> GateInput:
    """Labels drawn from a known chance; a score of quality 1 is that chance, of quality 0 the
    constant base rate.
    """
    random = np.random.default_rng(seed)
    chance = random.beta(1, 2, ROWS)
    labels = (random.uniform(size=ROWS) < chance).astype(np.int64)
    model, test = fitted()
    depots = test["depot"].to_numpy()
    parts = [
        SlicePart(("depot",), (name,), depots == name, int((depots == name).sum()), 50)
        for name in ("east", "north", "west")
    ]
    scores = mixed(chance, quality)
    champion = None if champion_quality is None else Champion(3, mixed(chance, champion_quality))
    return GateInput(
        use_case=USE_CASE,
        metrics=recorded(labels, scores),
        slice_metrics=of_slices(labels, scores, parts),
        evaluated_digest=DIGEST,
        package_digest=DIGEST,
        labels=labels,
        days=np.repeat(np.arange(30), ROWS // 30),
        slices=parts,
        scores=scores,
        champion=champion,
        inspection=Inspection(DIGEST, 300_000, [], dict(MEASURED)),
        model=model,
        test=test,
    )


def mixed(chance: np.ndarray, quality: float) -> np.ndarray:
    return quality * chance + (1 - quality) * chance.mean()


def recorded(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    metrics = {f"test.{name}": value for name, value in summary(labels, scores).items()}
    prior = np.full(len(labels), labels.mean())
    metrics["test.baseline.brier"] = brier(labels, prior)
    metrics["test.baseline.logloss"] = log_loss(labels, prior)
    metrics["test.baseline.last_value.logloss"] = metrics["test.baseline.simple.logloss"] = (
        metrics["test.baseline.logloss"] - 0.01
    )
    return metrics


def of_slices(
    labels: np.ndarray, scores: np.ndarray, parts: Sequence[SlicePart]
) -> dict[SliceIdentity, dict[str, float]]:
    return {part.identity: summary(labels[part.mask], scores[part.mask]) for part in parts}


def scored(given: GateInput, scores: np.ndarray, labels: np.ndarray | None = None) -> GateInput:
    """The same candidate with other scores (and labels), and the metrics that they have."""
    labels = given.labels if labels is None else labels
    return replace(
        given,
        scores=scores,
        labels=labels,
        metrics=recorded(labels, scores),
        slice_metrics=of_slices(labels, scores, given.slices),
    )


def refused_by(given: GateInput) -> set[str]:
    return {row.rule for row in run_gates(given).findings if not row.passed}


def without_in_west(given: GateInput, metric: str) -> GateInput:
    west = (("depot",), ("west",))
    kept = {name: value for name, value in given.slice_metrics[west].items() if name != metric}
    return replace(given, slice_metrics={**given.slice_metrics, west: kept})


def without(given: GateInput, metric: str) -> GateInput:
    return replace(
        given, metrics={name: value for name, value in given.metrics.items() if name != metric}
    )


def limited(given: GateInput, **limits: Any) -> GateInput:
    """The same candidate under other limits; `golden` and `slices` are fields of the use case."""
    return replace(given, use_case=under_limits(given.use_case, **limits))
