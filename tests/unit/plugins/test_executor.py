"""What a task finds loaded. That a fork of a process with all of it computes, every task of the
demo shows.
"""

from __future__ import annotations

import tomllib

from include.settings import PROJECT_ROOT
from plugins.executor import PRELOADED, preload

ELSEWHERE = {
    "apprise": "a few tasks send something, and it is light",
    "bentoml": "of the endpoint",
    "boto3": "few tasks reach the shared store, and it is light",
    "botocore": "of boto3",
    "dask": "of trainings on a cluster",
    "distributed": "of trainings on a cluster",
    "onnx": "of models whose target asks for it",
    "onnxmltools": "of models whose target asks for it",
    "onnxruntime": "of models whose target asks for it",
    "skl2onnx": "of models whose target asks for it",
}


def test_what_steps_import_late_is_loaded():
    rules = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    heavy = set(rules["flake8-tidy-imports"]["banned-module-level-imports"])
    assert heavy - {name.partition(".")[0] for name in PRELOADED} == set(ELSEWHERE)


def test_a_library_that_is_not_there_stops_nothing():
    assert preload(["json", "no_such_library", "json.no_such_part"]) == [
        "no_such_library",
        "json.no_such_part",
    ]
