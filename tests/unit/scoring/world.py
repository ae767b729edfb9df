"""A small real world: a tenth of the flights of January and February 2013, a champion trained on
January, MLflow on SQLite.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from include.interval import Interval
from include.processes import training
from include.registry.versions import register_candidate, set_champion
from include.settings import Settings
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from include.verdict import Finding, GateVerdict
from proofs.harness.data import land
from proofs.harness.databases import mlflow_at
from proofs.harness.home import home_settings
from tests.step_runs import run_step

HISTORY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
JANUARY = Interval(HISTORY.start, datetime(2013, 2, 1, tzinfo=UTC))
FEBRUARY = Interval(JANUARY.end, HISTORY.end)
SHARE = 0.1
SMALL = USE_CASE.training.model_copy(update={"boost_rounds": 20})
FLIGHTS = USE_CASE.model_copy(update={"training": SMALL})


@dataclass(frozen=True)
class World:
    """`version` is the champion's, with `digest`."""

    settings: Settings
    tables: TableStore
    version: int
    digest: str

    def context(self, interval: Interval, process: str = "monitoring") -> StepContext:
        """A step's context in this world."""
        return StepContext(
            FLIGHTS, self.settings, interval, RunInfo(process=process, run_id=f"{process}-1")
        )


@cache
def build_world(home: Path) -> World:
    """Ingest, compute features, train, register, release; built once per test session."""
    settings = home_settings(home, SHARE)
    mlflow_at(settings.home / "mlflow.db")
    land(settings, HISTORY)
    tables = TableStore(settings.tables_uri)
    world = World(settings, tables, 0, "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what training warns about is the training tests' concern
        trained = _train(world.context(JANUARY, "training"))
    number = register_candidate(
        settings,
        FLIGHTS,
        trained["open_run"]["mlflow_run_id"],
        trained["train_model"]["digest"],
        GateVerdict(findings=(Finding(rule="none", passed=True),)),
    )
    set_champion(settings, FLIGHTS, number)
    return World(settings, tables, number, trained["train_model"]["digest"])


def _train(context: StepContext) -> dict[str, Any]:
    results: dict[str, Any] = {
        "tune_model": {
            "parameters": dict(USE_CASE.training.parameters),
            "best_trial": 0,
            "loss": "logloss",
            "validation_loss": 0.5,
            "trials": [],
        }
    }
    for step in (
        training.open_run,
        training.build_snapshot,
        training.split_data,
        training.train_model,
    ):
        results[step.__name__] = run_step(step, context, results)
    return results
