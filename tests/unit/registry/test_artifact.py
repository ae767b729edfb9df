"""Models that were logged while the package format lived in the registry's room load as before."""

from __future__ import annotations

from pathlib import Path

import mlflow.pyfunc
import numpy as np

from include.registry.logged_model import SCRIPT, example_frame, signature
from tests.unit.model.synthetic import fitted_package, parcels


def test_a_model_that_was_logged_with_the_former_import_still_scores(tmp_path: Path):
    frame = parcels()
    _, model = fitted_package(tmp_path / "package", frame)
    code, former = SCRIPT.read_text(), "from include.registry.artifact import"
    assert "from include.model.package import" in code
    script = tmp_path / "pyfunc_model.py"
    script.write_text(code.replace("from include.model.package import", former))
    mlflow.pyfunc.save_model(
        path=tmp_path / "logged",
        python_model=str(script),
        artifacts={"package": str(tmp_path / "package")},
        signature=signature(model.transform),
        input_example=example_frame(model.transform, frame.head(3)),
        pip_requirements=["mlflow"],
    )
    saved = "\n".join(path.read_text() for path in (tmp_path / "logged").glob("*.py"))
    assert former in saved
    rows = frame.tail(20)
    answers = mlflow.pyfunc.load_model(str(tmp_path / "logged")).predict(
        example_frame(model.transform, rows)
    )
    assert np.array_equal(np.asarray(answers), model.score_frame(rows))
