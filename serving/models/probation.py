"""A version is on probation while a child process loads it as the endpoint would, before it does so
itself.

    python -m serving.models.probation <use case> <version> <digest> <folder> <public key>

A damaged model can end the process that parses it; then it is the child that ends, and the version
is refused by the signal's name.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from include.catalogue import load_use_case
from include.errors import FlightdeckError, ServingError
from include.model.lean_xgboost import import_lean
from include.process_end import end_at_once
from include.release.model_store import Desired
from include.settings import PROJECT_ROOT
from serving.models.loading import check_contract, load_served

PROBATION_SECONDS = 90.0
ERROR_CHARACTERS = 400
LIBRARIES = ("numpy", "polars", "xgboost", "scikit-learn", "onnxruntime")


def try_in_child(
    use_case: str, desired: Desired, key: Path, *, seconds: float = PROBATION_SECONDS
) -> None:
    """Raise `ServingError` saying how the child failed; return when it has loaded the version and
    answered its golden rows.
    """
    command = [
        sys.executable,
        "-m",
        "serving.models.probation",
        use_case,
        str(desired.version),
        desired.digest,
        str(desired.folder),
        str(key),
    ]
    try:
        child = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env=child_environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServingError(
            f"The probation of {use_case} version {desired.version} gave no answer within"
            f" {seconds:g} s."
        ) from error
    if child.returncode == 0:
        return
    if child.returncode < 0:
        how = f"the process that loaded it died of {signal.Signals(-child.returncode).name}"
    else:
        how = (child.stdout or child.stderr).strip()[
            -ERROR_CHARACTERS:
        ] or f"its process ended with {child.returncode}"
    raise ServingError(
        f"{use_case} version {desired.version} did not pass its probation and does not serve: {how}"
    )


def child_environment() -> dict[str, str]:
    """The environment of a child process that loads a model: one thread, and no metrics among those
    of the workers.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name.upper() != "PROMETHEUS_MULTIPROC_DIR"
    }
    return {**environment, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}


def libraries() -> dict[str, str]:
    """List the versions that the outcome depends on beside the package: a version that passed need
    not pass again while these are the same.
    """
    return {name: _installed(name) for name in LIBRARIES}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def main(arguments: list[str]) -> int:
    """Load what the arguments name; print the reason where that fails."""
    name, number, digest, folder, key = arguments
    import_lean()
    try:
        use_case = load_use_case(name)
        served = load_served(Desired(int(number), digest, Path(folder)), use_case, Path(key))
        check_contract(use_case, served)
    except FlightdeckError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        return 3
    sys.stdout.write(json.dumps({"version": served.version}))
    return 0


if __name__ == "__main__":
    end_at_once()
    sys.exit(main(sys.argv[1:]))
