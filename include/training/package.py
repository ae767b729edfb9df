"""The one fit that ships: from the snapshot's splits to a model package on disk, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from include.data_sets.snapshot import training_window
from include.data_sets.stored_splits import StoredSplits
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
from include.model.reference import class_reference, reference_of
from include.problems.registry import strategy_of
from include.registry.client import connect
from include.registry.versions import download_package
from include.settings import Settings
from include.spec import UseCase, request_model
from include.steps import StepContext
from include.training.estimator import DEFAULT_MAX_BIN, device_of, require_cpu
from include.training.fitting import Fit
from include.training.folders import work_folder
from include.training.large.cluster import ClusterTrainer
from include.training.large.external import ExternalTrainer
from include.training.large.rows import BatchedRows, MemoryRows, SplitRows
from include.training.provenance import library_versions
from include.training.trainer import Trainer, open_trainer

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
    use_case, problem = context.use_case, strategy_of(context.use_case)
    rows, trainer = _open_fit(context, splits, int(parameters.get("max_bin", DEFAULT_MAX_BIN)))
    fit = trainer.fit(parameters)
    scores = {name: rows.scores(fit.fitted, name) for name in ("train", "test")}
    labels, blocks = rows.labels("test"), rows.blocks("test")
    metrics = {
        **problem.summary(labels, scores["test"]),
        **problem.block_errors(labels, scores["test"], blocks),
    }
    metadata = _metadata(
        context, parameters, snapshot, code_commit, fit, rows.labels("train"), metrics
    )
    folder = work_folder(context.settings, use_case.name, context.run.run_id) / "package"
    reference = reference_of(rows.transform, rows.train_column, problem.answer(scores["train"]))
    for column in use_case.problem.answer_columns:
        reference[column] = class_reference(use_case.problem.class_names, scores["train"])
    digest = write_package(
        folder,
        fit.fitted,
        rows.transform,
        metadata,
        reference,
        _golden(use_case, rows, fit, len(scores["test"])),
    )
    return folder, digest, fit


def _open_fit(
    context: StepContext, splits: Mapping[str, pl.DataFrame], max_bin: int
) -> tuple[SplitRows, Trainer]:
    """The rows, and what fits them: in memory, or as `training.fit_in` says where the splits are
    stored ones.
    """
    use_case, settings = context.use_case, context.settings
    device, threads = device_of(use_case, settings), settings.training_threads
    if not isinstance(splits, StoredSplits):
        memory = MemoryRows(use_case, splits)
        train, validation = memory.rows["train"], memory.rows["validation"]
        return memory, open_trainer(
            use_case,
            memory.transform,
            train,
            validation,
            threads=threads,
            device=device,
            max_bin=max_bin,
        )
    require_cpu(use_case, device)
    batched = BatchedRows(use_case, splits)
    if use_case.training.fit_in == "dask":
        return batched, ClusterTrainer(batched, settings, max_bin=max_bin)
    folder = work_folder(settings, use_case.name, context.run.run_id)
    return batched, ExternalTrainer(batched, threads=threads, max_bin=max_bin, folder=folder)


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
    connect(settings)  # as whom MLflow is asked
    return download_package(
        f"models:/{trained.model_id}",
        trained.digest,
        folder.parent / "fetched",
        tracking_uri=settings.mlflow_tracking_uri,
    )


def _golden(use_case: UseCase, rows: SplitRows, fit: Fit, height: int) -> dict[str, Any]:
    """Twenty rows spread evenly over the test split of so many rows with the scores that they get,
    and the requests that ask for them.
    """
    chosen = np.unique(np.linspace(0, height - 1, GOLDEN_ROWS).round().astype(int))
    part, transform = rows.rows_at("test", chosen.tolist()), rows.transform
    golden = golden_rows(transform, part)
    scores = fit.fitted.predict(transform.apply(golden_columns(transform, golden)))
    requests = request_rows(use_case, part)
    return {"rows": golden, "scores": scores.tolist(), "requests": requests}
