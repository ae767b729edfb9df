"""A home of its own, with the settings of a test environment: as values, or as the environment of
this process.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from cli.platform.environment import airflow_environment
from include.files import sqlite_url
from include.settings import PREFIX, Settings, load_settings

# Limits of the gates on a package for candidates that are no question of speed: a machine that has
# other things to do must not refuse them.
BUSY_MACHINE = MappingProxyType(
    {"max_latency_p50_ms": 1000.0, "max_latency_p99_ms": 5000.0, "max_batch_ms": 5000.0}
)
FOREIGN = (PREFIX, "AIRFLOW", "MLFLOW_")
"""How the variables begin that would reach into another home."""


def home_settings(home: Path, share: float = 1.0, **variables: object) -> Settings:
    """The settings of a test environment below `home`: a share of the flights, MLflow in a SQLite
    file, no server. `variables` are `FLIGHTDECK_*` by their names without the prefix.
    """
    home.mkdir(parents=True, exist_ok=True)
    return load_settings(_variables(home, share, variables))


def enter_home(home: Path, share: float = 1.0, **variables: object) -> None:
    """Make this process, and those that it starts, one of `home`, Airflow included.

    To be called before anything imports Airflow, which reads its environment at import.
    """
    home.mkdir(parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    os.environ.update(_variables(home, share, variables))
    os.environ.update(airflow_environment(load_settings()))


def _variables(home: Path, share: float, more: dict[str, object]) -> dict[str, str]:
    values = {
        "ENV": "test",
        "HOME": home,
        "MLFLOW_TRACKING_URI": sqlite_url(home / "mlflow.db"),
        # A copy of a migrated file is there at once (`proofs.harness.databases`).
        "AIRFLOW_DATABASE": "sqlite",
        "SAMPLE_SHARE": share,
        **more,
    }
    return {f"{PREFIX}{name}": str(value) for name, value in values.items()}
