"""A process that only scores loads boosters without scikit-learn, and its models all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.settings import PROJECT_ROOT

SCORES = """
import sys

from include.model.lean_xgboost import import_lean

import_lean()
import numpy as np
import xgboost

heavy = {"pandas", "sklearn"} & set(sys.modules)
assert not heavy, heavy
inputs = np.arange(60, dtype=np.float32).reshape(30, 2)
label = np.arange(30) % 2
matrix = xgboost.DMatrix(inputs, label=label)
booster = xgboost.train({"objective": "binary:logistic", "max_depth": 2}, matrix, 3)

# Others have it, and a model that holds one of XGBoost's classes for it is loaded.
from sklearn.linear_model import LogisticRegression

from include.model import skops_file

LogisticRegression().fit(inputs, label)
full = open(sys.argv[1], "rb").read()
loaded = skops_file.load(full, skops_file.refused_types(full, ()))
assert isinstance(loaded.get_booster(), xgboost.Booster)
assert loaded.n_classes_ == 2
np.testing.assert_allclose(
    loaded.predict_proba(inputs)[:, 1], booster.predict(matrix), rtol=1e-6
)
"""
FITS = """
import sys

import numpy as np
import xgboost

from include.model import skops_file

inputs = np.arange(60, dtype=np.float32).reshape(30, 2)
model = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(inputs, np.arange(30) % 2)
open(sys.argv[1], "wb").write(skops_file.dump(model))
"""


@pytest.mark.slow
def test_boosters_are_loaded_without_scikit_learn_and_its_models_all_the_same(tmp_path):
    for code in (FITS, SCORES):
        done = subprocess.run(
            [sys.executable, "-W", "error::UserWarning", "-c", code, str(tmp_path / "model.skops")],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
