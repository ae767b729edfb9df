"""The model package: one folder that is trained once, evaluated, registered, shipped and scored with, unchanged.

    model.ubj       the booster (XGBoost UBJSON; holds exactly the trees that score)
    transform.json  the fitted `FeatureTransform`
    metadata.json   `ModelMetadata`: where it comes from
    reference.json  the distribution of inputs and scores on the training split
    golden.json     twenty rows with the scores they must get
    digest.json     SHA-256 of each of the files above, and of that list
    signature.json  added when a registered version is fetched: the signature over all files above (`include.registry.signing`)

Nothing in it is a pickle, and nothing is parsed before the digest has been checked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from include.errors import DigestMismatch, RegistryError
from include.features.transform import FeatureTransform

if TYPE_CHECKING:
    import xgboost

MODEL_FILE = "model.ubj"
TRANSFORM_FILE = "transform.json"
METADATA_FILE = "metadata.json"
REFERENCE_FILE = "reference.json"
GOLDEN_FILE = "golden.json"
DIGEST_FILE = "digest.json"
SIGNATURE_FILE = "signature.json"
NOT_DIGESTED = (DIGEST_FILE, SIGNATURE_FILE)
PACKAGE_FILES = (MODEL_FILE, TRANSFORM_FILE, METADATA_FILE, REFERENCE_FILE, GOLDEN_FILE)

SCORING_LIBRARIES = ("numpy", "polars", "xgboost")
"""What turns a row into a score: a package serves only beside the versions of these with which it was trained."""

TIME_KINDS = ("local_hour", "local_weekday", "hours_between")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TrainingInterval(_Record):
    """The run's data interval `[start, end)`, UTC."""

    start: datetime
    end: datetime


class SnapshotRecord(_Record):
    """The training set: one version of one Delta table, and the digest of its rows."""

    name: str
    uri: str
    version: int
    digest: str


class ModelMetadata(_Record):
    """Where a model comes from. `metrics` are those of the test split; `base_rate` is the positives' share of the train split."""

    use_case: str
    run_id: str
    feature_service: str
    interval: TrainingInterval
    snapshot: SnapshotRecord
    seed: int
    parameters: dict[str, Any]
    best_iteration: int
    base_rate: float
    decision_threshold: float
    metrics: dict[str, float]
    libraries: dict[str, str]
    code_commit: str


class ScoringModel:
    """A verified package, ready to score. Safe to use from several threads."""

    def __init__(
        self,
        *,
        booster: xgboost.Booster,
        transform: FeatureTransform,
        metadata: ModelMetadata,
        reference: dict[str, Any],
        golden: dict[str, Any],
        digest: str,
    ) -> None:
        self.booster = booster
        self.transform = transform
        self.metadata = metadata
        self.reference = reference
        self.golden = golden
        self.digest = digest

    def score(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """Probabilities, float64 of shape (rows,), for source columns as `FeatureTransform.apply` takes them."""
        return self.score_matrix(self.transform.apply(columns))

    def score_frame(self, frame: pl.DataFrame) -> np.ndarray:
        """The same from a frame that holds the source columns."""
        return self.score_matrix(self.transform.apply_frame(frame))

    def score_matrix(self, matrix: np.ndarray) -> np.ndarray:
        """The same from the transformed matrix, float32 of shape (rows, inputs), NaN = missing."""
        if matrix.shape[0] == 0:
            return np.empty(0, dtype=np.float64)
        return np.asarray(self.booster.inplace_predict(matrix), dtype=np.float64)

    def check_golden(self) -> float:
        """Score the golden rows again; the largest absolute difference to the recorded scores."""
        recorded = np.asarray(self.golden["scores"], dtype=np.float64)
        scores = self.score(golden_columns(self.transform, self.golden["rows"]))
        if scores.shape != recorded.shape or recorded.size == 0:
            raise RegistryError(f"{GOLDEN_FILE} holds {len(self.golden['rows'])} rows and {recorded.size} scores; as many of both, please.")
        return float(np.abs(scores - recorded).max())


def source_columns(transform: FeatureTransform) -> list[str]:
    """The event time and every column that the transform reads, without repetition, in the inputs' order."""
    return list(dict.fromkeys([transform.event_time, *(transform.column(item) for item in transform.inputs)]))


def golden_rows(transform: FeatureTransform, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The source columns of `frame` as JSON rows; timestamps become ISO 8601 strings."""
    return [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in frame.select(source_columns(transform)).iter_rows(named=True)
    ]


def golden_columns(transform: FeatureTransform, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The inverse of `golden_rows`, as columns for `score`."""
    times = {transform.event_time, *(transform.column(item) for item in transform.inputs if item.kind in TIME_KINDS)}
    return {
        name: [datetime.fromisoformat(row[name]) if name in times and row[name] is not None else row[name] for row in rows]
        for name in source_columns(transform)
    }


def write_package(
    folder: Path,
    booster: xgboost.Booster,
    transform: FeatureTransform,
    metadata: ModelMetadata,
    reference: Mapping[str, Any],
    golden: Mapping[str, Any],
) -> str:
    """Write the package to `folder` (replacing what stands there) and return its digest.

    It is written aside and renamed, so that a killed writer leaves no half package under the final name.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    _write(aside / MODEL_FILE, bytes(booster.save_raw("ubj")))
    _write(aside / TRANSFORM_FILE, transform.model_dump_json(indent=1).encode())
    _write(aside / METADATA_FILE, metadata.model_dump_json(indent=1).encode())
    _write(aside / REFERENCE_FILE, _json(reference))
    _write(aside / GOLDEN_FILE, _json(golden))
    digest = package_digest(aside)
    _write(aside / DIGEST_FILE, _json({"algorithm": "sha256", "digest": digest, "files": _file_digests(aside)}))
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)
    return digest


def package_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below `folder` except digest.json and signature.json.

    Digested are lines `<sha256 of the file>  <name>\\n`, sorted by name: what `sha256sum * | sha256sum` prints without those two.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in _file_digests(folder).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_package(folder: Path, expected_digest: str) -> None:
    """Raise `DigestMismatch` unless the package's files are exactly those with `expected_digest`; the text names the files that differ."""
    found = package_digest(folder)
    if found == expected_digest:
        return
    raise DigestMismatch(
        f"The model package at {folder} has digest {found[:16]}, expected {expected_digest[:16]}: {_differences(folder)} "
        "Do not use it; fetch the version from the registry again or train anew."
    )


def load_model(folder: Path, *, expected_digest: str | None = None, threads: int = 1) -> ScoringModel:
    """Check the package against its digest.json (and against `expected_digest`), then parse it.

    Raises `DigestMismatch` for altered bytes, `RegistryError` for a missing or malformed file. `threads` score one call.
    """
    digest = verify_files(folder, expected_digest)
    missing = [name for name in PACKAGE_FILES if not (folder / name).is_file()]
    if missing:
        raise RegistryError(f"The model package at {folder} lacks {missing}; a package holds {[*PACKAGE_FILES, DIGEST_FILE]}.")
    try:
        transform = FeatureTransform.model_validate_json((folder / TRANSFORM_FILE).read_bytes())
        metadata = ModelMetadata.model_validate_json((folder / METADATA_FILE).read_bytes())
    except ValidationError as error:
        raise RegistryError(f"The model package at {folder} does not fit this code: {error}") from error
    return ScoringModel(
        booster=_load_booster(folder / MODEL_FILE, threads),
        transform=transform,
        metadata=metadata,
        reference=json.loads((folder / REFERENCE_FILE).read_bytes()),
        golden=json.loads((folder / GOLDEN_FILE).read_bytes()),
        digest=digest,
    )


def verify_files(folder: Path, expected_digest: str | None) -> str:
    """Check the package against its own digest.json, and against `expected_digest` if given; return its digest. Parses no model.

    Raises `RegistryError` when there is no package, `DigestMismatch` for altered bytes or another package.
    """
    recorded = str(_recorded_digest(folder)["digest"])
    verify_package(folder, recorded)
    if expected_digest is not None and expected_digest != recorded:
        raise DigestMismatch(
            f"The model package at {folder} is intact but another one: its digest is {recorded[:16]}, "
            f"expected {expected_digest[:16]}. Fetch the version that was evaluated."
        )
    return recorded


def _load_booster(path: Path, threads: int) -> xgboost.Booster:
    import xgboost

    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(path.read_bytes()))
    booster.set_param({"nthread": threads})
    return booster


def _recorded_digest(folder: Path) -> dict[str, Any]:
    path = folder / DIGEST_FILE
    try:
        recorded = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RegistryError(f"There is no model package at {folder}: {DIGEST_FILE} is missing.") from error
    except ValueError as error:
        raise DigestMismatch(f"{path} is not JSON: {error}") from error
    if not isinstance(recorded, dict) or not isinstance(recorded.get("digest"), str) or not isinstance(recorded.get("files"), dict):
        raise DigestMismatch(f"{path} holds no digest; it needs the keys 'digest' and 'files'.")
    return recorded


def _differences(folder: Path) -> str:
    try:
        recorded = _recorded_digest(folder)["files"]
    except RegistryError as error:
        return str(error)
    found = _file_digests(folder)
    changed = sorted(name for name in {*recorded, *found} if recorded.get(name) != found.get(name))
    return f"changed, added or missing files: {changed}." if changed else "it is another package."


def _file_digests(folder: Path) -> dict[str, str]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    return {name: hashlib.sha256(files[name].read_bytes()).hexdigest() for name in sorted(files) if name not in NOT_DIGESTED}


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
