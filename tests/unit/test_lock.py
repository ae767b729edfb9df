"""requirements.txt locks one version of everything that computes a model, whatever the Python."""

from __future__ import annotations

import re

import pytest

from include.settings import PROJECT_ROOT

LOCK = (PROJECT_ROOT / "requirements.txt").read_text()
PINS = re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)(?: ; (.+?))? *\\?$", LOCK, re.MULTILINE)
LEARNING = [
    "joblib",
    "numpy",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "polars",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "skl2onnx",
    "skops",
    "threadpoolctl",
    "xgboost",
]


@pytest.mark.parametrize("package", LEARNING)
def test_what_computes_a_model_has_one_version_on_every_python(package):
    versions = [(version, marker) for name, version, marker in PINS if name == package]
    assert len(versions) == 1, f"{package} is locked as {versions}"
    assert "python" not in versions[0][1]


def test_every_choice_has_a_floor():
    lines = (PROJECT_ROOT / "requirements.in").read_text().splitlines()
    choices = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in choices if ">=" not in line] == []
