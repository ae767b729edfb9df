"""One run-time folder for the whole test session, and the environment of every Airflow that the
tests start.

Set before anything imports Airflow: it reads its configuration at import.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from proofs.harness.ports import free_port

HOME = Path(tempfile.mkdtemp(prefix="flightdeck-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

for name in [name for name in os.environ if name.startswith(("FLIGHTDECK_", "AIRFLOW", "MLFLOW_"))]:
    del os.environ[name]
os.environ.update(
    FLIGHTDECK_ENV="test",
    FLIGHTDECK_HOME=str(HOME),
    FLIGHTDECK_SERVING_PORT=str(free_port()),
    FLIGHTDECK_MLFLOW_TRACKING_URI=f"sqlite:///{HOME}/mlflow/mlflow.db",
    FLIGHTDECK_SAMPLE_SHARE="0.15",
)

from cli.platform.environment import airflow_environment  # noqa: E402  (the settings it reads are set above)
from include.settings import Settings, load_settings  # noqa: E402

(HOME / "mlflow").mkdir()
os.environ.update(airflow_environment(load_settings()))
# Derived from the home: a test that moves the home moves them too.
for name in ("FLIGHTDECK_TABLES_URI", "FLIGHTDECK_SERVING_URL"):
    del os.environ[name]


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings of the session's run-time folder."""
    return load_settings()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's metadata database, migrated once."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True
    )
