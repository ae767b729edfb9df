"""A model for a place where nothing of Flightdeck runs: trees, feature specification and a reader,
in one signed folder.

model.onnx      matrix to score, for any ONNX runtime
model.ubj       the same trees for XGBoost
features.json   how plain values become the matrix, and what the score is
example.json    the package's golden rows and their scores
reader.py       turns rows into scores with numpy and onnxruntime (or xgboost) alone
README.md       the same in words
digest.json, signature.json   as in a model package
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from include.errors import RegistryError
from include.files import publishing
from include.model.digests import DIGEST_FILE, SIGNATURE_FILE, file_digests, package_digest
from include.model.fitted import BOOSTER_FILE
from include.model.onnx_export import to_onnx
from include.model.package import ScoringModel, golden_columns
from include.model.signing import sign_package
from include.settings import Settings

TOLERANCE = 1e-6
FORMAT = 1
README = """# {use_case}, version {version}

Package {digest}. The score is the {score}. Needs numpy, and onnxruntime or xgboost;
`reader.py` is all the code there is.

    python reader.py < rows.json              # the ONNX model
    python reader.py xgboost < rows.json      # the UBJ model

`rows.json` is a list of rows with the columns of `features.json`; `example.json` holds {rows} rows
and the scores that they must get.
"""


def export_model(settings: Settings, model: ScoringModel, version: int, folder: Path) -> str:
    """Write the export to `folder`, which must not exist yet, and return its digest. It appears
    complete or not at all.

    Raises `RegistryError` when the model is no XGBoost booster, when the folder exists, or when the
    exported trees answer the golden rows otherwise than the package.
    """
    if folder.exists():
        raise RegistryError(f"{folder} is there already; name another folder, or remove it.")
    onnx = to_onnx(model)
    largest = _difference(model, onnx)
    if not largest <= TOLERANCE:
        raise RegistryError(
            f"The ONNX form answers the golden rows {largest:g} off; at most {TOLERANCE:g} is"
            " right. Nothing is exported."
        )
    with publishing(folder, replace=False) as aside:
        return _write(settings, model, version, onnx, aside)


def feature_specification(model: ScoringModel, version: int) -> dict[str, Any]:
    """features.json: what a reader needs to know, as plain JSON."""
    transform, metadata = model.transform, model.metadata
    inputs = [
        {
            "name": item.name,
            "column": transform.column(item),
            "kind": item.kind,
            "timezone": item.timezone,
            "categories": list(transform.categories.get(item.name, ())),
        }
        for item in transform.inputs
    ]
    return {
        "format": FORMAT,
        "use_case": metadata.use_case,
        "version": version,
        "package_digest": model.digest,
        "problem": metadata.problem,
        "classes": list(metadata.classes),
        "score": metadata.answers.meaning,
        "decision_threshold": metadata.answers.threshold,
        "event_time": transform.event_time,
        "inputs": inputs,
    }


def _write(settings: Settings, model: ScoringModel, version: int, onnx: bytes, folder: Path) -> str:
    features = feature_specification(model, version)
    example = {name: model.golden[name] for name in ("rows", "scores")}
    (folder / "model.onnx").write_bytes(onnx)
    (folder / BOOSTER_FILE).write_bytes(bytes(model.booster.save_raw("ubj")))
    (folder / "features.json").write_text(json.dumps(features, indent=1))
    (folder / "example.json").write_text(json.dumps(example, indent=1))
    shutil.copyfile(Path(__file__).with_name("embedded") / "reader.py", folder / "reader.py")
    named = {**features, "digest": model.digest, "rows": len(model.golden["rows"])}
    (folder / "README.md").write_text(README.format_map(named))
    digest = package_digest(folder)
    recorded = {"algorithm": "sha256", "digest": digest, "files": file_digests(folder)}
    (folder / DIGEST_FILE).write_text(json.dumps(recorded, indent=1))
    (folder / SIGNATURE_FILE).write_text(sign_package(settings, folder, digest))
    return digest


def _difference(model: ScoringModel, onnx: bytes) -> float:
    """The largest difference of the ONNX form to the package on the golden rows."""
    import onnxruntime

    matrix = model.transform.apply(golden_columns(model.transform, model.golden["rows"]))
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    expected = model.score_matrix(matrix)
    actual = np.asarray(session.run(["score"], {"matrix": matrix})[0], dtype=np.float64).reshape(
        expected.shape
    )
    return float(np.abs(actual - expected).max())
