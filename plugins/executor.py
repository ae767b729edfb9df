"""Airflow's local executor, whose tasks find the heavy libraries loaded.

Every task is a fork of one of the executor's workers, which are forks of the scheduler. What the
scheduler has imported before the first fork a task has at once, and shares its memory; otherwise
each task imports anew what its step needs, which takes several times as long as most steps.

Only third-party libraries are loaded so. The code of Flightdeck and of the use cases is read by
every task as it stands on the disk, so that a changed feature or step counts from the next task on.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Sequence
from importlib import import_module

from airflow.executors.local_executor import LocalExecutor

import include.features  # noqa: F401  # before Feast, whose import it shortens
from include.process_end import end_at_once

PRELOADED = (
    "deltalake",
    "evidently.core.report",
    "evidently.presets",
    "fairlearn.metrics",
    "feast.infra.online_stores.sqlite",
    "great_expectations.render.renderer.page_renderer",
    "great_expectations.render.view",
    "httpx",
    "matplotlib.figure",
    "mlflow.artifacts",
    "mlflow.models",
    "mlflow.pyfunc",
    "model_signing",
    "optuna.storages.journal",
    "pandas",
    "polars",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.compose",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "skops.io",
    "xgboost",
)


log = logging.getLogger(__name__)


class PreloadingExecutor(LocalExecutor):
    """`LocalExecutor`, with `PRELOADED` imported before its workers are forked.

    Where workers are started by other means than a fork, as on macOS, it is a `LocalExecutor`.
    """

    def start(self) -> None:
        """Import the libraries, which the scheduler need not take apart at its end, then start the
        workers.
        """
        if self.is_mp_using_fork and hasattr(os, "fork"):
            preload(PRELOADED)
            end_at_once()
        super().start()


def preload(modules: Sequence[str]) -> list[str]:
    """Import the modules; those that cannot be imported, whose steps will say so, are returned.

    The garbage collector pauses: what an import makes stays, and to look through it again and again
    takes a fifth of the time.
    """
    missing = []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for name in modules:
            try:
                import_module(name)
            except ImportError as error:
                log.warning("%s is not preloaded: %s", name, error)
                missing.append(name)
    finally:
        if collecting:
            gc.enable()
    return missing
