"""Copies of the checkout, for tests that add use cases to one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.authoring.files import paths
from include.settings import PREFIX, PROJECT_ROOT

CODE = (
    "cli",
    "dags",
    "examples",
    "feature_repo",
    "include",
    "plugins",
    "serving",
    "pyproject.toml",
    "requirements.txt",
)
SHIPPED = "flight_delays"
WRAPPER = '#!/bin/sh\nPYTHONPATH={root} exec {python} {arguments} "$@"\n'


def project_copy(root: Path, *more: str) -> Path:
    """The code of this checkout (and `more` of it) below `root`, with a `.venv` that runs it."""
    root.mkdir()
    for name in (*CODE, *more):
        path = PROJECT_ROOT / name
        if path.is_dir():
            # With what is compiled of it, which counts for as long as a file keeps its time.
            shutil.copytree(path, root / name)
        else:
            shutil.copy(path, root / name)
    scripts = root / ".venv" / "bin"
    scripts.mkdir(parents=True)
    for script, arguments in (("python", ""), ("flightdeck", "-P -m cli")):
        file = scripts / script
        file.write_text(WRAPPER.format(root=root, python=sys.executable, arguments=arguments))
        file.chmod(0o755)
    return root


def only_use_case(copy: Path, name: str, files: Path) -> None:
    """Leave the copy one use case, of `spec.py`, `data.py` and `features.py` in the folder `files`,
    and of its `dag.py` if it is there, else of one as the shipped use case has.
    """
    shipped, own = paths(copy, SHIPPED), paths(copy, name)
    dag = shipped["dag"].read_text().replace(SHIPPED, name)
    shipped["dag"].unlink()
    shutil.rmtree(shipped["spec"].parent)
    (copy / "feature_repo" / "flights.py").unlink()
    own["spec"].parent.mkdir()
    for part in ("spec", "data", "features"):
        shutil.copy(files / f"{part}.py", own[part])
    brought = files / "dag.py"
    own["dag"].write_text(brought.read_text() if brought.exists() else dag)


def environment_of(copy: Path, **settings: str) -> dict[str, str]:
    """The environment of commands of the copy: its own run-time folder, whatever this process has,
    and these settings, whose names lack the prefix.
    """
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    inside = {f"{PREFIX}{name}": value for name, value in settings.items()}
    return {**outside, "PYTHONPATH": str(copy), "COLUMNS": "100", "NO_COLOR": "1", **inside}


def in_copy(
    copy: Path, command: Sequence[str], **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in the copy; what it prints on both channels is `stdout`."""
    return subprocess.run(
        list(command),
        cwd=copy,
        env=environment_of(copy, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
