"""One run-time folder for the whole test session, and the environment of every Airflow that the
tests start.

Set before anything imports Airflow: it reads its configuration at import.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.unraisableexception import gc_collect_iterations_key

from include.process_end import end_at_once
from include.settings import Settings, load_settings
from include.training.provenance import code_commit
from proofs.harness.databases import airflow_at, mlflow_at
from proofs.harness.home import enter_home
from proofs.harness.object_store import ObjectStoreServer
from proofs.harness.ports import free_port

# What is registered first is called last: whatever cleans up has done so.
exits_with = end_at_once()
HOME = Path(tempfile.mkdtemp(prefix="flightdeck-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

(HOME / "mlflow").mkdir()
enter_home(
    HOME,
    share=0.15,
    SERVING_PORT=free_port(),
    MLFLOW_TRACKING_URI=f"sqlite:///{HOME}/mlflow/mlflow.db",
)
# Derived from home and environment: a test that moves to others moves them too.
for name in ("FLIGHTDECK_TABLES_URI", "FLIGHTDECK_SERVING_URL", "FLIGHTDECK_MLFLOW_ACCESS"):
    del os.environ[name]


# The libraries make millions of objects that stay: to look through them as often as Python does by
# default takes a twelfth of the tests' time.
gc.set_threshold(50_000, 20, 50)


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest look once for what nobody took back, and not five times, each of which takes
    seconds after some thousand tests.
    """
    config.stash[gc_collect_iterations_key] = 1


@pytest.fixture(scope="session", autouse=True)
def _results_name_their_commit(
    request: pytest.FixtureRequest, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """Let a JUnit file say what was tested: the ML Test Score counts it for that commit alone."""
    if request.config.option.xmlpath:
        record_testsuite_property("commit", code_commit())


def pytest_sessionfinish(exitstatus: int) -> None:
    """Tell the end of this process what pytest exits with."""
    exits_with(int(exitstatus))


@pytest.fixture(scope="session")
def settings() -> Settings:
    """The settings of the session's run-time folder."""
    return load_settings()


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """The session's metadata databases of Airflow and MLflow, migrated."""
    airflow_at(HOME / "airflow" / "airflow.db")
    mlflow_at(HOME / "mlflow" / "mlflow.db")


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStoreServer]:
    """The session's S3, started at the first demand."""
    with ObjectStoreServer() as server:
        yield server
