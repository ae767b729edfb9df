"""What code, which libraries and what kind of machine made a model."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from include.bundles.manifest import unpacked_manifest
from include.settings import PROJECT_ROOT

UNKNOWN = "unknown"
DIRTY = "-dirty"
"""The end of a commit's name where files were not as committed."""
IMAGE_COMMIT = "REVISION"
"""File that `docker/Dockerfile` writes, since an image has no git."""
LIBRARIES = (
    "deltalake",
    "feast",
    "mlflow",
    "numpy",
    "optuna",
    "polars",
    "scikit-learn",
    "scipy",
    "skops",
    "xgboost",
)


class Environment(BaseModel):
    """What may change the bytes of a model beside code and data:

    `machine` is the architecture, `processor` its model name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str
    machine: str
    processor: str
    libraries: dict[str, str]


def code_commit(root: Path = PROJECT_ROOT) -> str:
    """The commit that is checked out, or that the bundle or the image was built from whose files
    these are, with `-dirty` where files differ from it; `unknown` where neither is so.
    """
    bundle = unpacked_manifest(root)
    if bundle is not None:
        return f"{bundle.commit}{DIRTY}" if bundle.dirty else bundle.commit
    if (packed := root / IMAGE_COMMIT).is_file():
        return packed.read_text(encoding="utf-8").strip()
    commit = ask_git(root, "rev-parse", "HEAD")
    changes = ask_git(root, "status", "--porcelain")
    if commit is None or changes is None:
        return UNKNOWN
    return f"{commit}{DIRTY}" if changes else commit


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that shape a model."""
    return {name: version(name) for name in LIBRARIES}


def environment() -> Environment:
    """The environment of this process."""
    return Environment(
        python=platform.python_version(),
        machine=platform.machine(),
        processor=_processor(),
        libraries=library_versions(),
    )


def lock_digest(root: Path = PROJECT_ROOT) -> str:
    """SHA-256 of requirements.txt, or `unknown` where there is none (`sha256sum requirements.txt`
    prints the same).
    """
    path = root / "requirements.txt"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else UNKNOWN


def _processor(path: Path = Path("/proc/cpuinfo")) -> str:
    lines = path.read_text().splitlines() if path.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or UNKNOWN)


def ask_git(root: Path, *arguments: str) -> str | None:
    """What git prints in a checkout; None where it has nothing to say of that, or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )  # git is wherever the machine has it
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
