"""No module of include/ loads a heavy library when it is imported: parsing a DAG file imports them
all.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib

import pytest

from include.settings import PROJECT_ROOT

RUFF = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
BANNED = RUFF["flake8-tidy-imports"]["banned-module-level-imports"]
MODELS_FROM_CODE = "include.registry.pyfunc_model"
"""MLflow runs this file itself; nothing of ours imports it."""


@pytest.mark.slow
def test_importing_include_loads_no_heavy_library():
    modules = sorted(
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (PROJECT_ROOT / "include").rglob("*.py")
    )
    chosen = [name for name in modules if name != MODELS_FROM_CODE]
    assert len(chosen) > 100
    code = (
        "import importlib, json, sys\n"
        "heavy = {}\n"
        f"for name in {chosen!r}:\n"
        "    importlib.import_module(name)\n"
        f"    for library in set({[*BANNED, 'pandas']!r}) & set(sys.modules) - set(heavy):\n"
        "        heavy[library] = name\n"
        "print(json.dumps(heavy))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT
    )
    assert json.loads(run.stdout) == {}


def test_the_banned_names_are_those_that_cost_a_second():
    assert {"mlflow", "xgboost", "sklearn", "feast", "great_expectations", "evidently"} <= set(
        BANNED
    )
