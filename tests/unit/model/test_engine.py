from __future__ import annotations

import logging

import numpy as np
import pytest

from include.model.engine import FEW_ROWS, EngineMismatch, OnnxEngine, check_parity, open_engine
from include.model.package import ScoringModel
from tests.unit.model.synthetic import fitted_package, parcels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ScoringModel:
    return fitted_package(tmp_path_factory.mktemp("engine") / "package", parcels())[1]


class Shifted:
    """An engine that is right on single rows and a little wrong on many."""

    name = "shifted"

    def __init__(self, model: ScoringModel) -> None:
        self._right = OnnxEngine(model)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        return self._right.predict(matrix) + (2e-6 if len(matrix) > 1 else 0.0)


def test_the_fast_engine_answers_thousands_of_rows_as_the_package_does(model: ScoringModel):
    engine = open_engine(model)
    assert engine.name == "onnxruntime"
    matrix = model.transform.apply_frame(parcels(5000, seed=9))
    expected = model.score_matrix(matrix)
    for together in (1, FEW_ROWS, FEW_ROWS + 1, 5000):
        scores = np.concatenate(
            [
                engine.predict(matrix[start : start + together])
                for start in range(0, 1000 if together == 1 else 5000, together)
            ]
        )
        assert scores.dtype == np.float64
        assert np.abs(scores - expected[: len(scores)]).max() <= 1e-6


def test_an_engine_whose_answers_differ_is_refused_with_the_difference(model: ScoringModel):
    with pytest.raises(EngineMismatch, match=r"shifted is off by more than 1e-06: \{'together': 2"):
        check_parity(Shifted(model), model)


def test_without_parity_or_onnx_form_the_package_answers_and_the_log_says_why(
    model, monkeypatch, caplog
):
    monkeypatch.setattr("include.model.engine.OnnxEngine", lambda _: Shifted(model))
    with caplog.at_level(logging.WARNING):
        engine = open_engine(model)
    assert engine.name == "package"
    assert "shifted is off" in caplog.text
    matrix = model.transform.apply_frame(parcels(50, seed=3))
    assert np.array_equal(engine.predict(matrix), model.score_matrix(matrix))
