"""Scores with an exported model, with nothing of the project that trained it: Python (with
time-zone data), numpy, one engine.

    from reader import EmbeddedModel
    model = EmbeddedModel("path/of/the/folder")            # onnxruntime; engine="xgboost" reads
    model.ubj instead model.score([{"carrier": "UA", ...}])                   # plain values;
    timestamps are ISO 8601 with a time zone

`python reader.py [onnx|xgboost] < rows.json` prints the scores of a JSON list of rows. Copy this
file wherever it is needed; the folder's other files are the model. A row holds every column of
features.json; None and NaN are missing values, and so is a category that the model was not trained
with.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

Row = Mapping[str, Any]
SECONDS_PER_HOUR = 3600.0
LOCAL: Mapping[str, Callable[[datetime], int]] = {
    "local_hour": lambda moment: moment.hour,
    "local_weekday": lambda moment: moment.weekday(),
    "local_month": lambda moment: moment.month,
}
"""What an input of each kind reads of a local time."""
LARGEST_NUMBER = 3.4028234663852886e38  # the largest float of 32 bits
NOT_DIGESTED = ("digest.json", "signature.json")


class EmbeddedModel:
    """The folder's model, checked against its digest."""

    def __init__(self, folder: str | Path, engine: str = "onnx") -> None:
        self.folder = Path(folder)
        self.digest = verify(self.folder)
        self.features: dict[str, Any] = json.loads((self.folder / "features.json").read_bytes())
        self._predict = _ENGINES[engine](self.folder)

    def score(self, rows: Sequence[Row]) -> np.ndarray:
        """float64 of shape (rows,), or (rows, classes) in the order of `features["classes"]`; see
        `features["score"]` for what it is.
        """
        scores = np.asarray(self._predict(matrix(self.features, rows)), dtype=np.float64)
        return scores if self.features["problem"] == "multiclass" else scores.reshape(len(rows))


def matrix(features: Mapping[str, Any], rows: Sequence[Row]) -> np.ndarray:
    """The model's matrix, float32 of shape (rows, inputs), NaN = missing.

    Raises `ValueError` naming column and value.
    """
    made = np.empty((len(rows), len(features["inputs"])), dtype=np.float32)
    for position, item in enumerate(features["inputs"]):
        codes = {category: float(code) for code, category in enumerate(item["categories"])}
        for number, row in enumerate(rows):
            if item["column"] not in row:
                raise ValueError(f"row {number} lacks the column {item['column']!r}")
            value = row[item["column"]]
            made[number, position] = (
                math.nan
                if value is None or value != value  # a NaN
                else _number(item, codes, value, row, features["event_time"])
            )
    return made


def verify(folder: Path) -> str:
    """The folder's digest; raises `ValueError` when a file is not what digest.json says."""
    recorded = json.loads((folder / "digest.json").read_bytes())
    actual = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in recorded["files"]
    }
    changed = sorted(name for name, digest in recorded["files"].items() if actual[name] != digest)
    digest = hashlib.sha256(
        "".join(f"{actual[name]}  {name}\n" for name in sorted(actual)).encode()
    ).hexdigest()
    if changed or digest != recorded["digest"]:
        raise ValueError(
            f"{folder} was altered: {changed or 'its digest is another'}; do not use it"
        )
    return digest


def _number(
    item: Mapping[str, Any], codes: Mapping[str, float], value: Any, row: Row, event_time: str
) -> float:
    kind, column = item["kind"], item["column"]
    if kind == "category":
        if not isinstance(value, str):
            raise ValueError(f"column {column!r} holds {value!r}; a category is a string")
        return codes.get(value, math.nan)
    if kind == "number":
        if not isinstance(value, int | float) or abs(value) > LARGEST_NUMBER:
            raise ValueError(
                f"column {column!r} holds {value!r}; it must be None or a finite number of at most"
                f" {LARGEST_NUMBER:.8g}"
            )
        return float(value)
    moment = _moment(column, value)
    if kind in LOCAL:
        return float(LOCAL[kind](moment.astimezone(ZoneInfo(item["timezone"]))))
    if kind == "hours_between":
        event = row[event_time]
        return (
            math.nan
            if event is None
            else (moment - _moment(event_time, event)).total_seconds() / SECONDS_PER_HOUR
        )
    raise ValueError(f"column {column!r} is of kind {kind!r}, which this reader does not know")


def _moment(column: str, value: Any) -> datetime:
    moment = (
        value
        if isinstance(value, datetime)
        else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    )
    if moment.tzinfo is None:
        raise ValueError(f"column {column!r} holds {value!r}; a timestamp needs a time zone")
    return moment


def _onnx(folder: Path) -> Callable[[np.ndarray], Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        (folder / "model.onnx").read_bytes(), providers=["CPUExecutionProvider"]
    )
    return lambda made: session.run(["score"], {"matrix": made})[0]


def _xgboost(folder: Path) -> Callable[[np.ndarray], Any]:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray((folder / "model.ubj").read_bytes()))
    predict: Callable[[np.ndarray], Any] = booster.inplace_predict
    return predict


_ENGINES = {"onnx": _onnx, "xgboost": _xgboost}


def main() -> None:
    """Rows from standard input, scores to standard output."""
    model = EmbeddedModel(Path(__file__).resolve().parent, *sys.argv[1:2])
    sys.stdout.write(f"{json.dumps(model.score(json.load(sys.stdin)).tolist())}\n")


if __name__ == "__main__":
    main()
