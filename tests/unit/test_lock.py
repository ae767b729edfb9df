"""requirements.txt locks one version of everything that computes a model, whatever the Python."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys

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
ROOMS = ("include", "serving", "plugins", "dags", "cli", "proofs", "tests")
# What a line of requirements.in brings by its extra, or cannot do without.
COMES_WITH = {
    "alembic": "mlflow",
    "botocore": "boto3",
    "dask": "distributed",
    "nats": "faststream[nats]",
    "psycopg": "feast[postgres]",
    "pydantic_core": "pydantic",
    "redis": "feast[redis]",
    "structlog": "apache-airflow",
    "typeguard": "feast",
}
# A peer of the benchmarks has its own environment, which the benchmark makes.
OWN_ENVIRONMENT = {"mlserver"}


@pytest.mark.parametrize("package", LEARNING)
def test_what_computes_a_model_has_one_version_on_every_python(package):
    versions = [(version, marker) for name, version, marker in PINS if name == package]
    assert len(versions) == 1, f"{package} is locked as {versions}"
    assert "python" not in versions[0][1]


def test_every_choice_has_a_floor():
    lines = (PROJECT_ROOT / "requirements.in").read_text().splitlines()
    choices = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in choices if ">=" not in line] == []


def imports():
    """The top-level names that the project's files import, each with a file that does."""
    names: dict[str, str] = {}
    for path in (path for room in ROOMS for path in (PROJECT_ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module]
            for module in modules:
                names.setdefault(module.split(".")[0], str(path.relative_to(PROJECT_ROOT)))
    return names


@pytest.mark.slow
def test_what_the_code_imports_is_chosen_and_not_somebody_elses_dependency():
    """A package that only another one brings goes with that one's next version."""
    choices = re.findall(
        r"^([a-z0-9-]+)", (PROJECT_ROOT / "requirements.in").read_text(), re.MULTILINE
    )
    distributions = importlib.metadata.packages_distributions()
    own = {path.stem for path in PROJECT_ROOT.iterdir()} | set(sys.stdlib_module_names)
    borrowed = {
        name: path
        for name, path in imports().items()
        if name not in own | COMES_WITH.keys() | OWN_ENVIRONMENT
        and not {re.sub(r"[_.]+", "-", owner.lower()) for owner in distributions.get(name, [name])}
        & set(choices)
    }
    assert borrowed == {}, "requirements.in gives these no floor"
