"""model.skops: the same fit gives the same bytes in another process, and a type that is not on the
list is refused before it is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import types
import warnings
import zipfile

import numpy as np
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from include.errors import RegistryError
from include.model import skops_file
from include.model.answers import ClassAnswers, RateAnswers
from include.model.fitted import FittedSklearn
from include.settings import PROJECT_ROOT

pytestmark = pytest.mark.slow  # measured at two seconds or more

ROWS = np.random.default_rng(3).normal(size=(300, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] + ROWS[:, 1] ** 2 > 0.5).astype(np.int64)
CLASSES = LABELS + (ROWS[:, 2] > 0.5)
FOREST = "sklearn.ensemble.RandomForestClassifier"
TREE = "sklearn.tree._tree.Tree"


def models():
    """Estimators of three kinds, fitted anew on each call."""
    coarse = np.round(ROWS)
    return {
        FOREST: RandomForestClassifier(5, max_depth=3, random_state=1).fit(ROWS, CLASSES),
        "sklearn.ensemble.HistGradientBoostingRegressor": (
            HistGradientBoostingRegressor(max_iter=5, random_state=1).fit(ROWS, ROWS[:, 0])
        ),
        "sklearn.linear_model.LogisticRegression": (
            make_pipeline(
                OneHotEncoder(handle_unknown="ignore", dtype=np.float32), LogisticRegression()
            ).fit(coarse, LABELS)
        ),
    }


def digests():
    return {
        name: hashlib.sha256(skops_file.dump(model)).hexdigest() for name, model in models().items()
    }


def test_the_same_fit_gives_the_same_bytes_in_another_process():
    code = (
        "import json; from tests.unit.model.test_skops_file import digests;"
        " print(json.dumps(digests()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == digests()


@pytest.mark.parametrize("estimator", [*models()])
def test_what_was_written_scores_the_same_after_loading(estimator):
    model = models()[estimator]
    loaded = skops_file.load(skops_file.dump(model), skops_file.allowed_types(estimator, ()))
    np.testing.assert_array_equal(model.predict(ROWS), loaded.predict(ROWS))


def test_a_type_is_allowed_for_the_estimators_that_need_it_only():
    content = skops_file.dump(models()[FOREST])
    assert skops_file.refused_types(
        content, skops_file.allowed_types("sklearn.linear_model.Ridge", ())
    ) == [TREE]
    assert (
        skops_file.refused_types(content, skops_file.allowed_types("model:forest", (TREE,))) == []
    )
    with pytest.raises(RegistryError, match=r"sklearn\.tree\._tree\.Tree.*Nothing was loaded"):
        skops_file.load(content, skops_file.allowed_types("sklearn.linear_model.Ridge", ()))


def test_a_function_of_the_operating_system_is_refused_by_name():
    content = skops_file.dump(
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(np.abs(ROWS), LABELS)
    )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    log1p, system = (
        rf'"__class__": "{name}",\s*"__module__": "{module}"'
        for name, module in (("log1p", "numpy"), ("system", "os"))
    )
    schema, changed = re.subn(log1p, system.replace(r"\s*", " "), files["schema.json"].decode())
    assert changed
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in {**files, "schema.json": schema.encode()}.items():
            archive.writestr(name, body)
    with pytest.raises(RegistryError, match=r"os\.system"):
        skops_file.load(
            target.getvalue(),
            skops_file.allowed_types("sklearn.linear_model.LogisticRegression", ()),
        )


def test_what_is_no_skops_file_is_refused():
    with pytest.raises(RegistryError, match="cannot be read as a skops file"):
        skops_file.load(b"\x80\x04K\x01.", ())


def test_scores_have_the_shape_of_the_problem_and_a_class_unseen_in_training_has_probability_zero():
    logistic = models()["sklearn.linear_model.LogisticRegression"]
    binary = FittedSklearn(logistic, RateAnswers(0.5)).predict(np.round(ROWS))
    assert binary.shape == (300,)
    of_three = FittedSklearn(logistic, ClassAnswers(("a", "b", "c"))).predict(np.round(ROWS))
    assert of_three.shape == (300, 3)
    np.testing.assert_allclose(of_three.sum(axis=1), 1.0)
    assert not of_three[:, 2].any()


def test_the_inside_of_an_estimator_is_described():
    found = {
        name: FittedSklearn(model, RateAnswers(0.5)).describe() for name, model in models().items()
    }
    forest = found[FOREST]["steps"][0]
    assert (forest["trees"], forest["parameters"]) == (
        5,
        {"max_depth": 3, "n_estimators": 5, "random_state": 1},
    )
    assert forest["leaves"] < forest["nodes"] <= 5 * 15
    assert forest["max_depth"] == 3
    encoder, logistic = found["sklearn.linear_model.LogisticRegression"]["steps"]
    assert encoder["class"] == "sklearn.preprocessing._encoders.OneHotEncoder"
    assert logistic["coefficients"] > 3
    assert found["sklearn.ensemble.HistGradientBoostingRegressor"]["steps"][0]["trees"] == 5


def test_other_libraries_deprecated_attributes_are_no_matter(monkeypatch):
    """skops asks every loaded module for every name;

    Airflow's answer deprecated ones with a warning.
    """

    class Old(types.ModuleType):
        def __getattr__(self, name: str) -> object:
            warnings.warn(f"{name} is deprecated", DeprecationWarning, stacklevel=2)
            raise AttributeError(name)

    monkeypatch.setitem(sys.modules, "an_old_module", Old("an_old_module"))
    model = make_pipeline(FunctionTransformer(expit), LogisticRegression()).fit(ROWS, LABELS)
    loaded = skops_file.load(
        skops_file.dump(model),
        skops_file.allowed_types("sklearn.linear_model.LogisticRegression", ()),
    )
    np.testing.assert_array_equal(model.predict(ROWS), loaded.predict(ROWS))
