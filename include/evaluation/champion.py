"""The champion on the candidate's own test rows: fetched, verified and scored now, never read from
an old run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl

from include.errors import FlightdeckError
from include.evaluation.gates.base import TEST, Champion, GateInput
from include.evaluation.slices import reference_segments
from include.features.transform import FeatureTransform
from include.model.package import load_model
from include.registry.metric_names import mlflow_name
from include.registry.versions import RegisteredVersion, download
from include.spec import ProblemKind

Complete = Callable[[pl.DataFrame, FeatureTransform], pl.DataFrame]
"""Rows of a training set, and what a model reads of them -> the same rows with all of that."""


def score_champion(
    version: RegisteredVersion,
    frame: pl.DataFrame,
    *,
    threads: int,
    problem: ProblemKind = "binary",
    complete: Complete | None = None,
) -> Champion:
    """Its scores for `frame`; without them, and with what is wrong named, when its artefact is
    missing, altered or does not fit.

    `complete` adds the columns that it reads and the specification does not any more.
    """
    from xgboost.core import XGBoostError

    with tempfile.TemporaryDirectory() as folder:
        try:
            package = download(version, Path(folder))
            model = load_model(package, expected_digest=version.digest, threads=threads)
            if model.metadata.problem != problem:
                return Champion(
                    version.version,
                    None,
                    f"it is a {model.metadata.problem} model, the candidate's problem is {problem}",
                )
            rows = frame if complete is None else complete(frame, model.transform)
            return Champion(
                version.version,
                model.score_frame(rows),
                segments=reference_segments(model.transform, model.reference),
            )
        except (FlightdeckError, XGBoostError, ValueError) as error:
            return Champion(version.version, None, f"{type(error).__name__}: {error}")


def champion_metrics(candidate: GateInput) -> dict[str, float]:
    """The champion's metrics on the candidate's own test rows, as `test.champion.<metric>`; none
    without a champion that answers the same question.
    """
    champion = candidate.champion
    if (
        champion is None
        or champion.scores is None
        or candidate.scores is None
        or champion.scores.shape != candidate.scores.shape
    ):
        return {}
    summary = candidate.problem_strategy.summary(candidate.labels, champion.scores)
    return {mlflow_name(TEST, "champion", name): value for name, value in summary.items()}
