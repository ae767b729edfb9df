"""A project to throw away with as many use cases as are asked for: the storms of `examples/` under
other names.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from cli.platform.environment import airflow_environment, process_environment
from include.settings import PREFIX, PROJECT_ROOT, Settings, load_settings
from proofs.harness.ports import free_ports

CODE = ("cli", "dags/factories", "feature_repo", "include", "plugins", "serving")
ORIGINAL = "storm_status"
PLAIN = "case_plain"
"""The use case without features of a view, so that rows are made up without Feast."""
LAST = "        end=datetime(2023, 1, 1, tzinfo=UTC),\n"
VIEW = {
    '(FeatureTable(view="storms_by_box", table="features/storms_by_box"),)': "()",
    '        Input(name="hurricane_share", source="storms_by_box:hurricane_share"),\n': "",
}
NO_FEATURES = {"features=[storms_by_box])": "features=[])"}


def name_of(number: int) -> str:
    """The name of a copy, from 1 on."""
    return f"case_{number:04d}"


def write_project(root: Path, *, use_cases: int, plain: int = 0) -> Path:
    """The code of this checkout below `root`, with so many copies of the use case, and so many that
    read no feature; nothing is due before the year 2100, so Airflow has them and runs none.
    """
    for name in CODE:
        shutil.copytree(
            PROJECT_ROOT / name,
            root / name,
            ignore=shutil.ignore_patterns("__pycache__", "flight_delays", "flights.py"),
        )
    (root / "dags" / "__init__.py").touch()
    for number in range(1, use_cases + 1):
        _write(root, name_of(number), _original("spec.py"))
    for number in range(1, plain + 1):
        text = _original("spec.py")
        for line, instead in VIEW.items():
            text = _replaced(text, line, instead)
        _write(root, f"{PLAIN}_{number:04d}", text, features=NO_FEATURES)
    return root


def project_settings(root: Path) -> Settings:
    """Settings of the project's own home, with free ports and Airflow's database in its own
    PostgreSQL.
    """
    airflow, mlflow, serving = free_ports(3)
    values = {
        "ENV": "test",
        "HOME": root / "home",
        "AIRFLOW_DATABASE": "embedded",
        "AIRFLOW_PORT": airflow,
        "MLFLOW_PORT": mlflow,
        "SERVING_PORT": serving,
        "GRPC_PORT": 0,
    }
    (root / "home").mkdir(exist_ok=True)
    return load_settings({f"{PREFIX}{name}": str(value) for name, value in values.items()})


def project_environment(root: Path, settings: Settings) -> dict[str, str]:
    """The environment of the project's processes: its own code, and behind it what proves."""
    return process_environment(
        {
            **airflow_environment(settings),
            "AIRFLOW__CORE__DAGS_FOLDER": str(root / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
            "PYTHONPATH": f"{root}:{PROJECT_ROOT}",
            "PYTHONWARNINGS": "ignore",
            "OMP_WAIT_POLICY": "PASSIVE",
        }
    )


def _original(file: str) -> str:
    text = (PROJECT_ROOT / "examples" / ORIGINAL / file).read_text()
    if file != "spec.py":
        return text
    return _replaced(_replaced(text, "start=datetime(2005", "start=datetime(2100"), LAST, "")


def _replaced(text: str, part: str, instead: str) -> str:
    if part not in text:
        raise ValueError(f"examples/{ORIGINAL} does not hold {part!r}: correct the bench.")
    return text.replace(part, instead)


def _write(
    root: Path, name: str, spec: str, *, features: Mapping[str, str] = MappingProxyType({})
) -> None:
    folder = root / "include" / "use_cases" / name
    folder.mkdir(parents=True)
    files = {
        folder / "__init__.py": "",
        folder / "spec.py": spec,
        folder / "data.py": _original("data.py"),
        root / "dags" / f"{name}.py": _original("dag.py"),
        root / "feature_repo" / f"{name}.py": _original("features.py"),
    }
    for line, instead in features.items():
        files[root / "feature_repo" / f"{name}.py"] = _replaced(
            _original("features.py"), line, instead
        )
    for path, text in files.items():
        path.write_text(text.replace(ORIGINAL, name).replace("storms_by_box", f"{name}_by_box"))
