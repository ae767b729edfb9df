"""The small real world of the refusal table: a home of its own, history up to March, and a champion
of its first two months.

The home stands for as long as the table runs. Before each case it is put back to what `build` left,
so no case sees another's traces, and the absolute addresses in MLflow's and Feast's databases stay
true.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.catalogue import load_use_case
from include.errors import PlatformError
from include.interval import Interval
from include.registry import versions
from include.registry.client import connect
from include.release.model_store import desired
from include.settings import Settings, load_settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.use_cases.flight_delays.data import read_source
from proofs.harness.dag_runs import DagRunResult, run_dag
from proofs.harness.damage.rows import Damage, Rows, write_delivery
from proofs.harness.databases import airflow_at, mlflow_at
from proofs.harness.home import BUSY_MACHINE, enter_home
from proofs.harness.ports import free_port
from proofs.refusals.verdict import Outcome, outcome_of

USE_CASE = "flight_delays"
SAMPLE_SHARE = 0.3
FEBRUARY = Interval(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
MARCH = Interval(datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 4, 1, tzinfo=UTC))
CHAMPION_UNTIL = "2013-03-01"
CANDIDATE_UNTIL = "2013-04-01"


def enter(folder: Path) -> None:
    """Make this process one of the home `<folder>/home`.

    To be called before anything imports Airflow, which reads it at import.
    """
    home = folder / "home"
    (home / "mlflow").mkdir(parents=True, exist_ok=True)
    tracking = f"sqlite:///{home}/mlflow/mlflow.db"
    enter_home(home, SAMPLE_SHARE, SERVING_PORT=free_port(), MLFLOW_TRACKING_URI=tracking)
    _overlay(folder / "overlay.json", {})


def _overlay(path: Path, changes: Mapping[str, Any]) -> None:
    """Write an overlay that the DAGs run by this process see; the case of the slow model brings a
    limit of its own.
    """
    gates = {**BUSY_MACHINE, **changes.get("gates", {})}
    path.write_text(json.dumps({USE_CASE: {**changes, "gates": gates}}))
    os.environ["FLIGHTDECK_SPEC_OVERLAY"] = str(path)


def build(folder: Path, *, champion: bool = True) -> None:
    """Airflow's database, features of January to March and, if asked for, the champion of January
    and February; in `<folder>/base`.
    """
    settings = load_settings()
    airflow_at(settings.home / "airflow" / "airflow.db")
    mlflow_at(settings.home / "mlflow" / "mlflow.db")
    for month in (2, 3, 4):
        _must_succeed(run_dag(f"{USE_CASE}__features", datetime(2013, month, 1, tzinfo=UTC)))
    if champion:
        parameters = {
            "until": CHAMPION_UNTIL,
            "reason": "first champion of the refusal table",
            "trials": 1,
        }
        trained = _must_succeed(run_dag(f"{USE_CASE}__training", None, parameters))
        versions.set_champion(
            settings, load_use_case(USE_CASE), trained.results["register_model"]["version"]
        )
    shutil.copytree(settings.home, folder / "base", symlinks=True)


def restore(folder: Path) -> None:
    """Put the home back to what `build` left."""
    shutil.rmtree(folder / "home", ignore_errors=True)
    shutil.copytree(folder / "base", folder / "home", symlinks=True)


def _must_succeed(run: DagRunResult) -> DagRunResult:
    if run.state != "success":
        reasons = [
            f"{task}: {reason}"
            for task, result in run.results.items()
            if isinstance(result, dict) and result.get("accepted") is False
            for reason in result["reasons"]
        ]
        failed = [task for task, state in run.tasks.items() if state == "failed"]
        raise PlatformError(
            f"The world of the refusals cannot be built: {run.run_id} is {run.state} at"
            f" {', '.join(failed)}. {'; '.join(reasons) or 'See the log of the lane'}."
        )
    return run


@dataclass(frozen=True)
class World:
    """What a case works with: the wired DAGs in a home that is its own."""

    settings: Settings

    @property
    def use_case(self) -> UseCase:
        """The specification as the DAGs see it now."""
        return load_use_case(USE_CASE)

    def overlay(self, changes: Mapping[str, Any]) -> None:
        """Replace values of the specification for the runs to come (see `include.spec.overlay`)."""
        _overlay(self.settings.home / "overlay.json", changes)

    def deliver(self, damage: Damage, interval: Interval = MARCH) -> None:
        """Deliver the interval's real rows, damaged; those of February are the earlier ones."""
        share, folder = self.settings.sample_share, self.settings.home / "deliveries"
        rows = Rows(
            read_source(interval, share),
            read_source(FEBRUARY, share),
            interval.start - FEBRUARY.start,
        )
        write_delivery(folder, USE_CASE, interval, damage(rows))
        os.environ["FLIGHTDECK_DELIVERY_DIR"] = str(folder)

    def features(self, interval: Interval = MARCH) -> Outcome:
        """Run the features DAG on the interval."""
        return self._judged(f"{USE_CASE}__features", interval.end, None)

    def train(self, until: str = CANDIDATE_UNTIL, trials: int = 1) -> Outcome:
        """Run the training DAG on the window that ends at `until`."""
        return self._judged(
            f"{USE_CASE}__training",
            None,
            {"until": until, "reason": "refusal table", "trials": trials},
        )

    def deploy(self) -> Outcome:
        """Run the deployment DAG on the challenger."""
        return self._judged(f"{USE_CASE}__deployment", None, {"reason": "refusal table"})

    def _judged(self, dag_id: str, end: datetime | None, conf: dict[str, Any] | None) -> Outcome:
        before = self._published()
        run = run_dag(dag_id, end, conf)
        return outcome_of(run, leaked=_changed(before, self._published()))

    def _published(self) -> dict[str, Any]:
        """Whatever a refusal must leave as it was: published tables, feature tables, registered
        versions, aliases, desired version.
        """
        tables, use_case = TableStore(self.settings.tables_uri), load_use_case(USE_CASE)
        names = [
            *(table.name for table in use_case.tables),
            *(table.table for table in use_case.feature_tables),
        ]
        registered = connect(self.settings).search_model_versions(f"name = '{USE_CASE}'")
        challenger, champion = (
            versions.challenger(self.settings, use_case),
            versions.champion(self.settings, use_case),
        )
        return {
            **{name: tables.version(name) for name in names},
            "registered versions": len(registered),
            "challenger": challenger and challenger.version,
            "champion": champion and champion.version,
            "desired version": desired(self.settings, USE_CASE),
        }


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in before if before[name] != after[name]]
