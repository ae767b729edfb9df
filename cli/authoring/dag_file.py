"""The DAG file of a use case, held against its specification: `python -m cli.authoring.dag_file
NAME FILE` imports it in a process of its own, for Airflow reads its environment at import.
"""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

from cli.platform.environment import airflow_environment, process_environment
from include.catalogue import load_use_case
from include.errors import FlightdeckError
from include.process_end import end_at_once
from include.settings import PROJECT_ROOT, Settings
from include.spec.base import suggestion

FOLDER = PROJECT_ROOT / "dags"
WORDS = ("airflow", "dag")
"""Airflow skips a file, without a word, whose text lacks them."""
ENDING = "it must end with globals().update(build_all(USE_CASE)), as dags/flight_delays.py does"


def dag_file_problems(name: str, settings: Settings, folder: Path = FOLDER) -> list[str]:
    """A line for everything that keeps Airflow from having the use case's DAGs."""
    path, shown = folder / f"{name}.py", f"dags/{name}.py"
    if not path.is_file():
        others = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
        return [f"{shown} is missing{suggestion(name, others)}; {ENDING}"]
    text = path.read_text(encoding="utf-8").casefold()
    lacking = [word for word in WORDS if word not in text]
    if lacking:
        words = " and no ".join(map(repr, lacking))
        return [
            (
                f"{shown} holds no word {words}: Airflow passes over such a file; write them into"
                f" its docstring, such as 'The Airflow DAGs of the use case {name}.'"
            )
        ]
    done = subprocess.run(
        [sys.executable, "-m", "cli.authoring.dag_file", name, str(path)],
        cwd=PROJECT_ROOT,
        env=process_environment(airflow_environment(settings)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return [f"{shown} cannot be imported: {_last_line(done.stderr)}"]
    answer = json.loads(done.stdout.splitlines()[-1])
    return _compared(shown, set(answer["expected"]), set(answer["defined"]))


def _compared(shown: str, expected: set[str], defined: set[str]) -> list[str]:
    problems = []
    if expected - defined:
        problems.append(f"{shown} does not define {sorted(expected - defined)}; {ENDING}")
    if defined - expected:
        problems.append(
            f"{shown} defines {sorted(defined - expected)}, which belong to another use case: two"
            " files that define one DAG replace it in turn; import USE_CASE from"
            f" include.use_cases.{shown[5:-3]}.spec"
        )
    return problems


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "its process ended without a word"


def answer(name: str, path: Path) -> dict[str, list[str]]:
    """The ids of the DAGs that the file defines, and of those that the use case has."""
    from airflow.sdk import DAG

    from dags.factories import build_all

    expected = build_all(load_use_case(name))
    module = runpy.run_path(str(path))
    defined = [value.dag_id for value in module.values() if isinstance(value, DAG)]
    return {"expected": sorted(expected), "defined": sorted(set(defined))}


if __name__ == "__main__":
    exits_with = end_at_once()
    try:
        print(json.dumps(answer(sys.argv[1], Path(sys.argv[2]))))
        exits_with(0)
    except FlightdeckError as error:
        sys.exit(" ".join(str(error).split()))
