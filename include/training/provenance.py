"""What code and which libraries made a model."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

from include.settings import PROJECT_ROOT

UNKNOWN = "unknown"
LIBRARIES = ("deltalake", "feast", "mlflow", "numpy", "optuna", "polars", "xgboost")


def code_commit(root: Path = PROJECT_ROOT) -> str:
    """The commit that is checked out, with `-dirty` where files differ from it, or `unknown` outside a git checkout."""
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain")
    if commit is None or changes is None:
        return UNKNOWN
    return f"{commit}-dirty" if changes else commit


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that shape a model."""
    return {name: version(name) for name in LIBRARIES}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30)  # noqa: S607  # git is wherever the machine has it
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
