"""Who computes the online scores: the fastest engine that answers as the package does.

One row costs ONNX Runtime 6 to 13 microseconds and XGBoost's own `inplace_predict` about 200, of
which nearly all is the way in and out of the library. ONNX Runtime walks trees row by row: with 150
deep trees XGBoost is ahead from some 150 rows on, and gets them.

An engine is taken only if it answers the package's golden rows, and many rows made of them, within
`PARITY` of the package's own estimator, one by one and together. Otherwise, and for estimators that
have no ONNX form, the package's own estimator answers.
"""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np

from include.errors import RegistryError
from include.model.onnx_export import INPUT, OUTPUT, to_onnx
from include.model.package import ScoringModel, golden_columns

PARITY = 1e-6
"""Largest difference of a probability; of a value: that share of the largest golden value."""

MIXED_ROWS = 2000
FEW_ROWS = 128
"""Up to here ONNX Runtime is faster (150 trees of depth 6:

640 against 750 microseconds for 100 rows, 5,800 against 2,600 for 512).
"""

ENGINES = ("onnxruntime", "package")
"""Their names, the fast one first."""

logger = logging.getLogger("flightdeck.engine")


class EngineMismatch(RegistryError):
    """An engine's scores are not those of the package."""


class Engine(Protocol):
    """Computes scores; safe to share between threads."""

    @property
    def name(self) -> str:
        """For metrics and answers about the service."""

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores, float64, shaped like `ScoringModel.score_matrix`'s, for the transformed matrix
        (float32, contiguous).
        """


class OwnEngine:
    """The package's own estimator."""

    def __init__(self, model: ScoringModel) -> None:
        self._model = model
        self.name = ENGINES[1]

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores."""
        return self._model.score_matrix(matrix)


class OnnxEngine:
    """ONNX Runtime, one thread, on `to_onnx(model)`, for up to `FEW_ROWS` rows; the package's own
    estimator for more.
    """

    name = ENGINES[0]

    def __init__(self, model: ScoringModel) -> None:
        import onnxruntime

        self._model = model

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            to_onnx(model), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [OUTPUT]
        self._single = self._session.get_outputs()[0].shape[1] == 1

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Scores."""
        if len(matrix) > FEW_ROWS:
            return self._model.score_matrix(matrix)
        scores: np.ndarray = self._session.run(self._outputs, {INPUT: matrix})[0].astype(np.float64)
        return scores[:, 0] if self._single else scores


def open_engine(model: ScoringModel) -> Engine:
    """The engine for online answers.

    What speaks against the fast one is written to the log of the process.
    """
    try:
        engine: Engine = OnnxEngine(model)
        check_parity(engine, model)
    except Exception as error:  # whatever a converter or run-time raises
        logger.warning(
            "%s: the package's own estimator answers online: %s",
            model.digest[:16],
            error,
            exc_info=True,
        )
        return OwnEngine(model)
    return engine


def check_parity(engine: Engine, model: ScoringModel) -> None:
    """Raise `EngineMismatch` unless `engine` answers like the package on its golden rows and on
    `MIXED_ROWS` rows mixed from their values.

    A mixed row takes each input's value from any golden row, or none; so branches that no golden
    row takes are seen too.
    """
    golden = np.ascontiguousarray(
        model.transform.apply(golden_columns(model.transform, model.golden["rows"]))
    )
    draw = np.random.default_rng(0)
    mixed = golden[
        draw.integers(0, len(golden), (MIXED_ROWS, golden.shape[1])), np.arange(golden.shape[1])
    ]
    mixed[draw.random(mixed.shape) < 0.05] = np.nan
    matrix = np.concatenate([golden, mixed])
    expected = model.score_matrix(matrix)
    parts = [matrix[start : start + FEW_ROWS] for start in range(0, len(matrix), FEW_ROWS)]
    alone = np.concatenate([engine.predict(matrix[row : row + 1]) for row in range(len(golden))])
    recorded = np.asarray(model.golden["scores"], dtype=np.float64)
    differences = {
        "together": _difference(np.concatenate([engine.predict(part) for part in parts]), expected),
        "one by one": _difference(alone, expected[: len(golden)]),
        "the recorded answers": _difference(alone, recorded),
    }
    limit = PARITY * max(1.0, float(np.abs(expected).max()))
    wrong = {
        name: difference for name, difference in differences.items() if not difference <= limit
    }
    if wrong:
        raise EngineMismatch(f"{engine.name} is off by more than {limit:g}: {wrong}.")


def _difference(actual: np.ndarray, expected: np.ndarray) -> float:
    if actual.shape != expected.shape:
        return float("inf")
    return float(np.abs(actual - expected).max())
