"""Keeps a home of today's version for the tests of later ones: `python -m tests.upgrade.keep`, or
`make released-home`.

The home lives in a copy of the project that is removed again. What is kept is one archive beside
this file, named after the version: the backup of the home, the use case as its author wrote it, its
rows, and what a later version must find.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import polars as pl

from include.home_version import VERSION
from tests.copies import environment_of, only_use_case, project_copy
from tests.integration.pump_faults import months
from tests.integration.pump_faults.rows import rows

KEPT = Path(__file__).parent
SOURCE = Path(months.__file__).parent
PARTS = ("spec", "data", "features")
BACKUP, ABOUT, FILES = "backup.tar", "about.json", "use_case"
DIGITS = 2
"""Of the readings: a file in a repository need not be as exact as a sensor."""


def main(target: Path) -> None:
    """Let the home live, and keep it at `target`, which may not exist yet."""
    if target.exists():
        sys.exit(f"{target} is there already: a release is kept once. Remove it to make it anew.")
    with tempfile.TemporaryDirectory(prefix="flightdeck-") as folder:
        copy, kept = project_copy(Path(folder) / "copy", "proofs", "tests"), Path(folder) / "kept"
        kept.mkdir()
        only_use_case(copy, months.NAME, SOURCE)
        write_rows(copy / "data" / f"{months.NAME}.parquet")
        run(copy, ".venv/bin/python", "-m", "tests.upgrade.life", str(kept / ABOUT))
        run(copy, ".venv/bin/flightdeck", "backup", str(kept / BACKUP))
        pack(copy, kept, target)
    sys.stdout.write(f"{target}: {target.stat().st_size / 1e6:.2f} MB\n")


def pack(copy: Path, kept: Path, target: Path) -> None:
    """One archive of the backup, what must be found, the use case and its rows."""
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for name in (ABOUT, BACKUP):
            archive.add(kept / name, name)
        for name in PARTS:
            archive.add(SOURCE / f"{name}.py", f"{FILES}/{name}.py")
        archive.add(copy / "dags" / f"{months.NAME}.py", f"{FILES}/dag.py")
        archive.add(copy / "data", "data")


def write_rows(path: Path) -> None:
    """The rows of the small use case."""
    path.parent.mkdir()
    readings = pl.selectors.float().round(DIGITS)
    rows().with_columns(readings).write_parquet(path)


def run(copy: Path, *command: str) -> None:
    """Run a command in the copy, its output shown; ends this process where it fails."""
    environment = environment_of(copy, AIRFLOW_DATABASE="sqlite", ENV="test")
    done = subprocess.run(command, cwd=copy, env=environment, check=False)
    if done.returncode != os.EX_OK:
        sys.exit(f"{command} failed")


if __name__ == "__main__":
    main(KEPT / f"{VERSION}.tar.xz")
