"""The one fit that ships: from the snapshot's splits to a model package on disk, and back from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.evaluation.evaluate import labels_of
from include.evaluation.metrics import summary
from include.features.transform import FeatureTransform
from include.registry.artifact import (
    ModelMetadata,
    ScoringModel,
    SnapshotRecord,
    TrainingInterval,
    golden_columns,
    golden_rows,
    load_model,
    write_package,
)
from include.registry.reference import build_reference
from include.registry.versions import download_package
from include.settings import Settings
from include.steps import StepContext
from include.training.fitting import Fit, fit_booster, to_dmatrix
from include.training.provenance import library_versions
from include.training.tuning import DEFAULT_MAX_BIN

GOLDEN_ROWS = 20


def work_folder(settings: Settings, use_case_name: str, run_id: str) -> Path:
    """A run's own folder. Characters that a file name may not hold are replaced and told apart by a digest."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", run_id)
    suffix = "" if safe == run_id else f".{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
    return settings.home / "work" / use_case_name / f"{safe}{suffix}"


def train_package(
    context: StepContext, splits: Mapping[str, pl.DataFrame], parameters: Mapping[str, Any], snapshot: Mapping[str, Any], code_commit: str
) -> tuple[Path, str, Fit]:
    """Fit on the train split with early stopping on validation; write the package; return folder, digest and fit."""
    use_case, threads = context.use_case, context.settings.training_threads
    transform = FeatureTransform.fit(use_case, splits["train"])
    matrices = {name: transform.apply_frame(frame) for name, frame in splits.items()}
    labels = {name: labels_of(use_case, frame) for name, frame in splits.items()}
    max_bin = int(parameters.get("max_bin", DEFAULT_MAX_BIN))
    fitted = to_dmatrix(transform, matrices["train"], labels["train"], threads=threads, max_bin=max_bin)
    judged = to_dmatrix(transform, matrices["validation"], labels["validation"], threads=threads, max_bin=max_bin, like=fitted)
    fit = fit_booster(use_case, parameters, fitted, judged, threads=threads, device=context.settings.training_device)
    scores = {name: np.asarray(fit.booster.inplace_predict(matrix), dtype=np.float64) for name, matrix in matrices.items()}
    metadata = ModelMetadata(
        use_case=use_case.name,
        run_id=context.run.run_id,
        feature_service=use_case.feature_service,
        interval=TrainingInterval(start=context.interval.start, end=context.interval.end),
        snapshot=SnapshotRecord(**{name: snapshot[name] for name in SnapshotRecord.model_fields}),
        seed=use_case.training.seed,
        parameters={**parameters, "nthread": threads, "boost_rounds": use_case.training.boost_rounds},
        best_iteration=fit.best_iteration,
        base_rate=float(labels["train"].mean()),
        decision_threshold=use_case.serving.decision_threshold,
        metrics=summary(labels["test"], scores["test"]),
        libraries=library_versions(),
        code_commit=code_commit,
    )
    folder = work_folder(context.settings, use_case.name, context.run.run_id) / "package"
    reference = build_reference(transform, matrices["train"], scores["train"])
    digest = write_package(folder, fit.booster, transform, metadata, reference, _golden(transform, fit, splits["test"]))
    return folder, digest, fit


def open_package(settings: Settings, trained: Mapping[str, Any]) -> ScoringModel:
    """The package that `train_model` wrote, checked against its digest. Raises `DigestMismatch`, `RegistryError`."""
    return load_model(package_folder(settings, trained), expected_digest=trained["digest"], threads=settings.training_threads)


def package_folder(settings: Settings, trained: Mapping[str, Any]) -> Path:
    """Where the package that `train_model` wrote lies; on another machine it is missing and then fetched from MLflow."""
    folder = Path(trained["package"])
    if folder.exists():
        return folder
    return download_package(
        f"models:/{trained['model_id']}", trained["digest"], folder.parent / "fetched", tracking_uri=settings.mlflow_tracking_uri
    )


def _golden(transform: FeatureTransform, fit: Fit, test: pl.DataFrame) -> dict[str, Any]:
    """Twenty rows spread evenly over the test split with the scores that they get."""
    chosen = np.unique(np.linspace(0, test.height - 1, GOLDEN_ROWS).round().astype(int))
    rows = golden_rows(transform, test[chosen.tolist()])
    scores = fit.booster.inplace_predict(transform.apply(golden_columns(transform, rows)))
    return {"rows": rows, "scores": [float(score) for score in scores]}
