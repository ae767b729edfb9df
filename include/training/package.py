"""The one fit that ships: from the snapshot's splits to a model package on disk, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from include.data_sets.snapshot import training_window
from include.features.transform import FeatureTransform
from include.model.package import (
    ModelMetadata,
    ScoringModel,
    SnapshotRecord,
    TrainingInterval,
    golden_columns,
    golden_rows,
    load_model,
    request_rows,
    write_package,
)
from include.model.reference import build_reference, class_reference
from include.problems.registry import strategy_of
from include.registry.versions import download_package
from include.settings import Settings
from include.spec import UseCase, request_model
from include.steps import StepContext
from include.training.estimator import DEFAULT_MAX_BIN, device_of
from include.training.fitting import Fit
from include.training.folders import work_folder
from include.training.provenance import library_versions
from include.training.trainer import Rows, open_trainer

GOLDEN_ROWS = 20


def train_package(
    context: StepContext,
    splits: Mapping[str, pl.DataFrame],
    parameters: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    code_commit: str,
) -> tuple[Path, str, Fit]:
    """Fit on the train split, with early stopping on validation where there is any; write the
    package; return folder, digest, fit.
    """
    use_case, threads = context.use_case, context.settings.training_threads
    problem = strategy_of(use_case)
    transform = FeatureTransform.fit(use_case, splits["train"])
    rows = {
        name: Rows(transform.apply_frame(frame), problem.labels(frame))
        for name, frame in splits.items()
    }
    trainer = open_trainer(
        use_case,
        transform,
        rows["train"],
        rows["validation"],
        threads=threads,
        device=device_of(use_case, context.settings),
        max_bin=int(parameters.get("max_bin", DEFAULT_MAX_BIN)),
    )
    fit = trainer.fit(parameters)
    scores = {name: fit.fitted.predict(part.matrix) for name, part in rows.items()}
    metrics = problem.summary(rows["test"].labels, scores["test"])
    metadata = _metadata(
        context, parameters, snapshot, code_commit, fit, rows["train"].labels, metrics
    )
    folder = work_folder(context.settings, use_case.name, context.run.run_id) / "package"
    reference = build_reference(transform, rows["train"].matrix, problem.answer(scores["train"]))
    for column in use_case.problem.answer_columns:
        reference[column] = class_reference(use_case.problem.class_names, scores["train"])
    digest = write_package(
        folder,
        fit.fitted,
        transform,
        metadata,
        reference,
        _golden(use_case, transform, fit, splits["test"]),
    )
    return folder, digest, fit


def _metadata(
    context: StepContext,
    parameters: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    code_commit: str,
    fit: Fit,
    labels: np.ndarray,
    metrics: Mapping[str, float],
) -> ModelMetadata:
    """What the package says of itself; `labels` (rows,) are the train split's, `metrics` the test
    split's.
    """
    use_case = context.use_case
    problem = strategy_of(use_case)
    return ModelMetadata(
        use_case=use_case.name,
        run_id=context.run.run_id,
        feature_service=use_case.feature_service,
        interval=TrainingInterval(start=context.interval.start, end=context.interval.end),
        snapshot=SnapshotRecord(**{name: snapshot[name] for name in SnapshotRecord.model_fields}),
        seed=use_case.training.seed,
        parameters=recorded_parameters(use_case, parameters, context.settings.training_threads),
        best_iteration=fit.best_iteration,
        base_rate=problem.base_rate(labels),
        decision_threshold=use_case.serving.decision_threshold,
        metrics=dict(metrics),
        libraries=library_versions(),
        code_commit=code_commit,
        problem=use_case.problem.kind,
        classes=use_case.problem.class_names,
        prior=problem.class_shares(labels),
        label_spread=problem.recorded_spread(labels),
        estimator=use_case.training.estimator.label,
        trusted_types=getattr(use_case.training.estimator, "trusted_types", ()),
        architecture=fit.fitted.describe(),
        window_start=training_window(use_case, context.interval).start,
        request=request_model(use_case),
    )


def recorded_parameters(
    use_case: UseCase, parameters: Mapping[str, Any], threads: int
) -> dict[str, Any]:
    """What the metadata keep of a fit: the estimator's parameters, and of XGBoost threads and
    rounds.
    """
    if use_case.training.estimator.kind == "sklearn":
        return dict(parameters)
    return {**parameters, "nthread": threads, "boost_rounds": use_case.training.boost_rounds}


class TrainedPackage(Protocol):
    """What the final fit left: a folder of the worker that trained, and the same in MLflow."""

    @property
    def package(self) -> str:
        """The folder."""

    @property
    def digest(self) -> str:
        """The digest of its files."""

    @property
    def model_id(self) -> str:
        """MLflow's id of the logged model."""


def open_package(settings: Settings, trained: TrainedPackage) -> ScoringModel:
    """The package that `train_model` wrote, checked against its digest.

    Raises `DigestMismatch`, `RegistryError`.
    """
    return load_model(
        package_folder(settings, trained),
        expected_digest=trained.digest,
        threads=settings.training_threads,
    )


def package_folder(settings: Settings, trained: TrainedPackage) -> Path:
    """Where the package that `train_model` wrote lies; on another machine it is missing and then
    fetched from MLflow.
    """
    folder = Path(trained.package)
    if folder.exists():
        return folder
    return download_package(
        f"models:/{trained.model_id}",
        trained.digest,
        folder.parent / "fetched",
        tracking_uri=settings.mlflow_tracking_uri,
    )


def _golden(
    use_case: UseCase, transform: FeatureTransform, fit: Fit, test: pl.DataFrame
) -> dict[str, Any]:
    """Twenty rows spread evenly over the test split with the scores that they get, and the requests
    that ask for them.
    """
    chosen = np.unique(np.linspace(0, test.height - 1, GOLDEN_ROWS).round().astype(int))
    part = test[chosen.tolist()]
    rows = golden_rows(transform, part)
    scores = fit.fitted.predict(transform.apply(golden_columns(transform, rows)))
    requests = request_rows(use_case, part)
    return {"rows": rows, "scores": scores.tolist(), "requests": requests}
