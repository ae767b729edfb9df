"""What a task finds loaded, and that a fork of a process with all of it can compute."""

from __future__ import annotations

import subprocess
import sys
import tomllib

import pytest

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

FORK = """
import os, signal, sys, tempfile
from plugins.executor import PRELOADED, preload

assert preload(PRELOADED) == []
if task := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(task, 0)[1]))
signal.alarm(100)
import numpy as np
import polars as pl
import xgboost as xgb
from deltalake import DeltaTable, write_deltalake
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

rng = np.random.default_rng(1)
frame = pl.DataFrame({"key": rng.integers(0, 50, 200_000), "value": rng.normal(size=200_000)})
means = frame.lazy().group_by("key").agg(pl.col("value").mean()).collect()
inputs = rng.normal(size=(2000, 5))
labels = (inputs[:, 0] > 0).astype(int)
xgb.train({"objective": "binary:logistic", "nthread": 2}, xgb.DMatrix(inputs, labels), 3)
LogisticRegression().fit(inputs, labels)
np.linalg.svd(rng.normal(size=(300, 300)))
with tempfile.TemporaryDirectory() as folder:
    write_deltalake(folder, means.to_arrow())
    assert len(DeltaTable(folder).to_pyarrow_table()) == 50
    Figure().savefig(f"{folder}/empty.png")
os._exit(7)
"""


def test_what_steps_import_late_is_loaded():
    rules = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    heavy = set(rules["flake8-tidy-imports"]["banned-module-level-imports"])
    assert heavy - {name.partition(".")[0] for name in PRELOADED} == set(ELSEWHERE)


def test_a_library_that_is_not_there_stops_nothing():
    assert preload(["json", "no_such_library", "json.no_such_part"]) == [
        "no_such_library",
        "json.no_such_part",
    ]


@pytest.mark.slow
def test_a_fork_of_a_process_that_has_loaded_all_computes():
    forked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert forked.returncode == 7, forked.stdout + forked.stderr
