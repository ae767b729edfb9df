"""What the code of a checkout builds, as a process of its own in that checkout: `python -m
cli.bundles.compiled FILE`.

Writes JSON: for every DAG its tasks with operator, steps and what they wait for, and for every use
case the digest of its specification. So a bundle says what will run before it runs anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from cli.platform.environment import airflow_environment
from include.catalogue import load_use_case, names
from include.errors import BundleError, FlightdeckError
from include.files import write
from include.settings import PROJECT_ROOT, load_settings
from include.steps import load_step, short_name

DAGS = PROJECT_ROOT / "dags"


def compiled() -> dict[str, Any]:
    """DAGs and specifications. Raises `BundleError` for a DAG file that cannot be imported."""
    from airflow.dag_processing.dagbag import BundleDagBag

    bag = BundleDagBag(dag_folder=str(DAGS), bundle_path=DAGS, bundle_name="dags-folder")
    if bag.import_errors:
        file, error = next(iter(sorted(bag.import_errors.items())))
        raise BundleError(f"dags/{file} cannot be imported: {error}")
    return {
        "dags": {dag_id: _tasks(dag) for dag_id, dag in sorted(bag.dags.items())},
        "specifications": {name: _digest(name) for name in names()},
    }


def _tasks(dag: Any) -> dict[str, Any]:
    return {
        task.task_id: {
            "operator": _operator(task),
            "steps": [short_name(load_step(step)) for step in _steps(task)],
            "upstream": sorted(task.upstream_task_ids),
        }
        for task in dag.tasks
    }


def _operator(task: Any) -> str:
    # Of a mapped task Airflow has a stand-in, which names the class.
    operator = getattr(task, "operator_class", type(task))
    return f"{operator.__module__}.{operator.__qualname__}"


def _steps(task: Any) -> list[str]:
    mapped = getattr(task, "partial_kwargs", {}).get("step")
    return [mapped] if mapped else list(getattr(task, "steps", ()))


def _digest(name: str) -> str:
    return hashlib.sha256(load_use_case(name).model_dump_json().encode()).hexdigest()


def main(file: str) -> int:
    """Write the file; the exit code is 1 where something cannot be compiled."""
    with tempfile.TemporaryDirectory(prefix="flightdeck-compile-") as home:
        settings = load_settings({"FLIGHTDECK_ENV": "dev", "FLIGHTDECK_HOME": home})
        os.environ.update(airflow_environment(settings))
        try:
            content = compiled()
        except FlightdeckError as error:
            print(error, file=sys.stderr)
            return 1
    write(Path(file), json.dumps(content))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
