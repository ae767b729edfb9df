"""Three decided trainings on a tenth of the real flights of January to March 2013, with MLflow on
SQLite; nothing here is to be damaged.

`first` was accepted (version 1, the champion since), `shallow` was refused by a gate, `weather` is
another use case on the same data set.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from include.interval import Interval
from include.processes import training as steps
from include.registry.client import connect
from include.registry.versions import set_champion
from include.settings import Settings
from include.spec import Slice, UseCase
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.data import land
from proofs.harness.databases import mlflow_at
from proofs.harness.home import BUSY_MACHINE, home_settings
from tests.homes import ODD_NAME
from tests.step_runs import run_step
from tests.unit.model.synthetic import under_limits

QUARTER = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))
ORDER = (
    steps.open_run,
    steps.build_snapshot,
    steps.validate_snapshot,
    steps.split_data,
    steps.tune_model,
    steps.train_model,
    steps.evaluate_model,
    steps.check_gates,
    steps.register_model,
)
SHARE = 0.1
EASY = {"min_auc": 0.55, "max_slice_auc_drop": 0.5, **BUSY_MACHINE}
SMALL = USE_CASE.training.model_copy(update={"trials": 2, "boost_rounds": 40})
SLICES = (Slice(column="origin", minimum_rows=300), Slice(column="carrier", minimum_rows=100))
FLIGHTS = under_limits(USE_CASE, **EASY).model_copy(update={"training": SMALL, "slices": SLICES})
SHALLOW = FLIGHTS.model_copy(
    update={
        "gates": FLIGHTS.gates.model_copy(update={"min_champion_improvement": 0.5}),
        "training": SMALL.model_copy(
            update={"parameters": {**SMALL.parameters, "max_depth": 2}, "trials": 1}
        ),
    }
)
WEATHER = FLIGHTS.model_copy(update={"name": "flight_weather"})


@dataclass(frozen=True)
class Trainings:
    """The settings and every run's step results."""

    settings: Settings
    first: dict[str, Any]
    shallow: dict[str, Any]
    weather: dict[str, Any]

    @property
    def tables(self) -> TableStore:
        return TableStore(self.settings.tables_uri)

    @property
    def client(self) -> Any:
        return connect(self.settings)


ALARM = {
    "cause_id": "c1",
    "kind": "alarm",
    "who": "flight_delays__monitoring",
    "reason": "AUC fell to 0.61.",
}


@cache
def trainings(home: Path) -> Trainings:
    """Built once per process for one home, in a folder of it whose name no URL takes as it is."""
    settings = home_settings(home / ODD_NAME, SHARE)
    mlflow_at(settings.home / "mlflow.db")
    land(settings, QUARTER)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what training warns about is the training tests' concern
        causes = (ALARM,)
        first = _run(
            settings, FLIGHTS, RunInfo("training", "first", "asset", "monitoring", causes=causes)
        )
        set_champion(settings, FLIGHTS, 1)
        shallow = _run(settings, SHALLOW, RunInfo("training", "shallow", "manual", "ada"))
        weather = _run(settings, WEATHER, RunInfo("training", "weather", "scheduled"))
    return Trainings(settings, first, shallow, weather)


def _run(settings: Settings, use_case: UseCase, run: RunInfo) -> dict[str, Any]:
    context = StepContext(use_case, settings, QUARTER, run)
    results: dict[str, Any] = {}
    for step in ORDER:
        results[step.__name__] = run_step(step, context, results)
        if results[step.__name__].get("accepted") is False:
            break
    return results
