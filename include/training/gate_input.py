"""Collect what the gates judge:

MLflow's metrics of this run, the package on disk, the champion, the candidate's test rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from include.data_sets.former_inputs import with_former_inputs
from include.errors import RegistryError
from include.evaluation.champion import score_champion
from include.evaluation.evaluate import labels_of
from include.evaluation.gates.base import GateInput
from include.evaluation.slices import slice_parts
from include.features.transform import FeatureTransform
from include.model.inspection import Inspection
from include.model.package import ScoringModel
from include.registry.metric_names import slice_metrics
from include.registry.versions import RegisteredVersion
from include.steps import StepContext
from include.training.measuring import GOLDEN_LACKS
from include.training.package import TrainedPackage, open_package


def gather(
    context: StepContext,
    trained: TrainedPackage,
    test: pl.DataFrame,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
    inspection: Inspection,
    current: RegisteredVersion | None,
) -> GateInput:
    """A package that is missing or altered is no error here: the gates refuse it by name, and judge
    everything else.

    `inspection` holds the findings of `evaluate_model`; a package that did not load in a process of
    its own is not opened in this one. `current` is the champion.
    """
    use_case, threads = context.use_case, context.settings.training_threads
    model: ScoringModel | None = None
    problem = ""
    try:
        if inspection.measured is None:
            problem = inspection.problem
        else:
            model = open_package(context.settings, trained)
    except RegistryError as error:
        problem = f"{type(error).__name__}: {error}"
    transform = FeatureTransform.fit(use_case, test) if model is None else model.transform
    parts = slice_parts(use_case, transform, test)
    return GateInput(
        use_case=use_case,
        metrics=metrics,
        evaluated_digest=tags.get("flightdeck.evaluated_digest"),
        package_digest=None if model is None else model.digest,
        labels=labels_of(use_case, test),
        days=test[use_case.event_time].dt.truncate("1d").dt.epoch("s").to_numpy().astype(np.int64),
        slices=parts,
        scores=None if model is None else model.score_frame(test),
        champion=None
        if current is None
        else score_champion(
            current,
            test,
            threads=threads,
            problem=use_case.problem.kind,
            complete=partial(
                with_former_inputs, use_case, context.settings, created_by=context.interval.end
            ),
        ),
        problem=problem,
        inspection=inspection,
        package=Path(trained.package) if Path(trained.package).is_dir() else None,
        model=model,
        test=test,
        golden_lacks=tuple(json.loads(tags.get(GOLDEN_LACKS, "[]"))),
        slice_metrics=slice_metrics(metrics, "test", [part.identity for part in parts]),
    )
