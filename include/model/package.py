"""The model package: one folder that is trained once, evaluated, registered, shipped and scored
with, unchanged.

    model.ubj       the booster (XGBoost UBJSON; holds exactly the trees that score); or
    model.skops     an estimator or a pipeline of scikit-learn (skops; its types are on an
    allow-list) transform.json  the fitted `FeatureTransform` metadata.json   `ModelMetadata`: where
    it comes from reference.json  the distribution of inputs and scores on the training split
    golden.json     twenty rows with the scores they must get, and their requests
    digest.json     SHA-256 of each of the files above, and of that list
    signature.json  added when a registered version is fetched: the signature over all files above
    (`include.model.signing`)
    release.json    added when it is published: under which number (`include.release.statement`)

Nothing in it is a pickle, and nothing is parsed before the digest has been checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from pydantic import ValidationError

from include.errors import RegistryError
from include.features.transform import FeatureTransform
from include.files import publishing
from include.model import skops_file
from include.model.digests import (
    DIGEST_FILE,
    RELEASE_FILE,
    SIGNATURE_FILE,
    file_digests,
    package_digest,
    verify_files,
    verify_package,
)
from include.model.fitted import (
    BOOSTER_FILE,
    MODEL_FILES,
    SKOPS_FILE,
    Fitted,
    FittedBooster,
    FittedSklearn,
)
from include.model.metadata import (
    SCORING_LIBRARIES,
    SKLEARN_LIBRARIES,
    XGBOOST,
    ModelMetadata,
    SnapshotRecord,
    TrainingInterval,
)
from include.spec import UseCase

if TYPE_CHECKING:
    import xgboost

__all__ = [
    "DIGEST_FILE",
    "RELEASE_FILE",
    "SCORING_LIBRARIES",
    "SIGNATURE_FILE",
    "SKLEARN_LIBRARIES",
    "XGBOOST",
    "ModelMetadata",
    "ScoringModel",
    "SnapshotRecord",
    "TrainingInterval",
    "golden_columns",
    "golden_rows",
    "load_model",
    "package_digest",
    "package_files",
    "request_rows",
    "source_columns",
    "verify_files",
    "verify_package",
    "write_package",
]

MODEL_FILE = BOOSTER_FILE
TRANSFORM_FILE = "transform.json"
METADATA_FILE = "metadata.json"
REFERENCE_FILE = "reference.json"
GOLDEN_FILE = "golden.json"
BESIDE_MODEL = (TRANSFORM_FILE, METADATA_FILE, REFERENCE_FILE, GOLDEN_FILE)
PACKAGE_FILES = (MODEL_FILE, *BESIDE_MODEL)

TIME_KINDS = ("local_hour", "local_weekday", "local_month", "hours_between")


class ScoringModel:
    """A verified package, ready to score. Safe to use from several threads."""

    def __init__(
        self,
        *,
        booster: xgboost.Booster | None = None,
        fitted: Fitted | None = None,
        transform: FeatureTransform,
        metadata: ModelMetadata,
        reference: dict[str, Any],
        golden: dict[str, Any],
        digest: str,
    ) -> None:
        if fitted is None:
            if booster is None:
                raise RegistryError("A ScoringModel needs `fitted`, or a `booster` of XGBoost.")
            fitted = FittedBooster(booster)
        self.fitted = fitted
        self.transform = transform
        self.metadata = metadata
        self.reference = reference
        self.golden = golden
        self.digest = digest

    @property
    def booster(self) -> xgboost.Booster:
        """XGBoost's trees. Raises `RegistryError` for a model of another library."""
        if not isinstance(self.fitted, FittedBooster):
            raise RegistryError(
                f"The model is no XGBoost booster but {self.metadata.estimator}; score it through"
                " `score_matrix`."
            )
        return self.fitted.booster

    def score(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """Scores for source columns as `FeatureTransform.apply` takes them.

        float64 of shape (rows,): the probability of label 1 (binary) or the value in the label's
        unit (regression); of shape (rows, classes) for a multiclass problem: the probabilities in
        the order of `metadata.classes`.
        """
        return self.score_matrix(self.transform.apply(columns))

    def score_frame(self, frame: pl.DataFrame) -> np.ndarray:
        """The same from a frame that holds the source columns."""
        return self.score_matrix(self.transform.apply_frame(frame))

    def score_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """The same from the transformed matrix, float32 of shape (rows, inputs), NaN = missing."""
        if matrix.shape[0] == 0:
            return self.metadata.answers.empty()
        return self.fitted.predict(matrix)

    def check_golden(self) -> float:
        """Score the golden rows again; the largest absolute difference to the recorded scores."""
        recorded = np.asarray(self.golden["scores"], dtype=np.float64)
        scores = self.score(golden_columns(self.transform, self.golden["rows"]))
        if scores.shape != recorded.shape or recorded.size == 0:
            raise RegistryError(
                f"{GOLDEN_FILE} holds {len(self.golden['rows'])} rows and {recorded.size} scores;"
                " as many of both, please."
            )
        return float(np.abs(scores - recorded).max())


def source_columns(transform: FeatureTransform) -> list[str]:
    """The event time and every column that the transform reads, without repetition, in the inputs'
    order.
    """
    return list(
        dict.fromkeys(
            [transform.event_time, *(transform.column(item) for item in transform.inputs)]
        )
    )


def golden_rows(transform: FeatureTransform, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The source columns of `frame` as JSON rows; timestamps become ISO 8601 strings."""
    return _json_rows(frame.select(source_columns(transform)))


def request_rows(use_case: UseCase, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The rows of `frame` as an endpoint's callers send them; timestamps become ISO 8601 strings.

    Pages print them, so there are none where the specification keeps one of their columns out of
    the inference log, or where the frame lacks one.
    """
    names = list(dict.fromkeys([*use_case.request_columns, use_case.event_time]))
    if not set(names) <= set(frame.columns):
        return []
    if any(use_case.privacy(name) != "clear" for name in names):
        return []
    return _json_rows(frame.select(names))


def golden_columns(
    transform: FeatureTransform, rows: Sequence[Mapping[str, Any]]
) -> dict[str, list[Any]]:
    """The inverse of `golden_rows`, as columns for `score`."""
    times = {
        transform.event_time,
        *(transform.column(item) for item in transform.inputs if item.kind in TIME_KINDS),
    }
    return {
        name: [
            (
                datetime.fromisoformat(row[name])
                if name in times and row[name] is not None
                else row[name]
            )
            for row in rows
        ]
        for name in source_columns(transform)
    }


def write_package(
    folder: Path,
    model: xgboost.Booster | Fitted,
    transform: FeatureTransform,
    metadata: ModelMetadata,
    reference: Mapping[str, Any],
    golden: Mapping[str, Any],
) -> str:
    """Write the package to `folder` (replacing what stands there) and return its digest. `model` is
    what `train_model` fitted.

    A killed writer leaves no half package under the final name.
    """
    fitted = FittedBooster(model) if hasattr(model, "save_raw") else model
    with publishing(folder, durable=True) as aside:
        (aside / fitted.file).write_bytes(fitted.to_bytes())
        (aside / TRANSFORM_FILE).write_bytes(transform.model_dump_json(indent=1).encode())
        (aside / METADATA_FILE).write_bytes(metadata.model_dump_json(indent=1).encode())
        (aside / REFERENCE_FILE).write_bytes(_json(reference))
        (aside / GOLDEN_FILE).write_bytes(_json(golden))
        digest = package_digest(aside)
        (aside / DIGEST_FILE).write_bytes(
            _json({"algorithm": "sha256", "digest": digest, "files": file_digests(aside)})
        )
    return digest


def load_model(
    folder: Path, *, expected_digest: str | None = None, threads: int = 1
) -> ScoringModel:
    """Check the package against its digest.json (and against `expected_digest`), then parse it.

    Raises `DigestMismatch` for altered bytes, `RegistryError` for a missing or malformed file.
    `threads` score one call.
    """
    digest = verify_files(folder, expected_digest)
    _complete(folder, BESIDE_MODEL)
    try:
        transform = FeatureTransform.model_validate_json((folder / TRANSFORM_FILE).read_bytes())
        metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    except ValidationError as error:
        raise RegistryError(
            f"The model package at {folder} does not fit this code: {error}. Where a newer version"
            " of Flightdeck made it, use that version."
        ) from error
    _complete(folder, (metadata.model_file, *BESIDE_MODEL))
    return ScoringModel(
        fitted=_load_fitted(folder, metadata, threads),
        transform=transform,
        metadata=metadata,
        reference=json.loads((folder / REFERENCE_FILE).read_bytes()),
        golden=json.loads((folder / GOLDEN_FILE).read_bytes()),
        digest=digest,
    )


def package_files(folder: Path) -> tuple[str, ...]:
    """The files that make up the package in `folder`, digest.json aside: the model's own and those
    beside every model.
    """
    return (*(name for name in MODEL_FILES if (folder / name).is_file()), *BESIDE_MODEL)


def _json_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    floats = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    return [
        {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in frame.with_columns(pl.col(floats).fill_nan(None)).iter_rows(named=True)
    ]


def _complete(folder: Path, names: Sequence[str]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise RegistryError(
            f"The model package at {folder} lacks {missing}; a package holds"
            f" {[*names, DIGEST_FILE]}."
        )


def _load_fitted(folder: Path, metadata: ModelMetadata, threads: int) -> Fitted:
    """Raises `RegistryError` that names a type which is not on the allow-list, before anything of
    the model is constructed.
    """
    if metadata.estimator == XGBOOST:
        return FittedBooster(_load_booster(folder / BOOSTER_FILE, threads))
    allowed = skops_file.allowed_types(metadata.estimator, metadata.trusted_types)
    estimator = skops_file.load((folder / SKOPS_FILE).read_bytes(), allowed)
    return FittedSklearn(estimator, metadata.answers)


def _load_booster(path: Path, threads: int) -> xgboost.Booster:
    import xgboost

    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(path.read_bytes()))
    booster.set_param({"nthread": threads})
    return booster


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()
