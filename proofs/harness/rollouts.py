"""Releases of a small real world through a real Airflow, with requests flowing all the while.

Versions 1 and 2 are good. Version 3 is deliberately bad: it answers 1 - p where version 2 answers
p, and an override in the ledger, which says so, lets it be released.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.demo.challenger import register_turned
from include.release.ledger import Entry, Ledger
from include.settings import PROJECT_ROOT, Settings
from proofs.harness.airflow import Account, Airflow
from proofs.harness.databases import mlflow_at
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.home import BUSY_MACHINE, home_settings
from proofs.harness.outcomes import Outcomes, Told
from proofs.harness.ports import free_ports
from proofs.harness.registered import register
from proofs.harness.traffic import Traffic
from proofs.harness.world import World, build_world, with_many_units

DEPLOY, ROLL_BACK = f"{USE_CASE}__deployment", f"{USE_CASE}__rollback"
DAGS = PROJECT_ROOT / "proofs" / "faults" / "rollout_dags"
GOOD, BETTER, TURNED = 1, 2, 3
VERSIONS = {GOOD: {"max_depth": 3}, BETTER: {"max_depth": 3, "min_child_weight": 25}}
"""So much alike that no slice's scores move far, whichever flights are asked about."""
CALLERS, PAUSE = 3, 0.015
STAGE = "RolloutStageOperator"
ENDED = ("success", "failed")
RUN_SECONDS = 600.0


@dataclass
class Rollouts:
    """The platform; `callers` gives people who ask."""

    world: World
    endpoint: Endpoint
    airflow: Airflow
    engineer: Account
    reviewer: Account
    overlay: Path

    @property
    def settings(self) -> Settings:
        """Those of Airflow's tasks."""
        return self.airflow.settings

    def use(self, release: Mapping[str, Any], stages: tuple[str, ...]) -> None:
        """Declare how versions are released; returns when Airflow has the DAG with these stages."""
        write_overlay(self.overlay, release)
        token = self.engineer.get(f"/api/v2/dags/{DEPLOY}")["file_token"]
        self.engineer.call("PUT", f"/api/v2/parseDagFile/{token}", {})
        self.airflow.wait_for(f"have the stages {stages}", lambda: self.stages() == stages)

    def stages(self) -> tuple[str, ...]:
        """The stages of the deployment DAG that Airflow has."""
        tasks = self.engineer.get(f"/api/v2/dags/{DEPLOY}/tasks")["tasks"]
        names = [task["task_id"] for task in tasks if task["class_ref"]["class_name"] == STAGE]
        return tuple(sorted(names, key=_share))

    def deploy(self, version: int, run: str) -> None:
        """Start a deployment of a version."""
        conf = {"version": version, "reason": run}
        self.engineer.trigger(DEPLOY, run, conf=conf)

    def wait(self, run: str, task: str, *states: str, dag_id: str = DEPLOY) -> None:
        """Until a task of a run is in one of the states."""
        self.airflow.wait_for(
            f"bring {task} of {run} to {states}",
            lambda: self.engineer.states(dag_id, run).get(task) in states,
            seconds=RUN_SECONDS,
        )

    def end(self, run: str, dag_id: str = DEPLOY) -> str:
        """How the run ends."""
        return self.airflow.wait_for(
            f"end {run}", lambda: self._ended(dag_id, run), seconds=RUN_SECONDS
        )

    def rows(self, run: str) -> list[Entry]:
        """The ledger's rows of a deployment."""
        rows = Ledger(self.settings).rows(USE_CASE)
        return [row for row in rows if row.run == f"deployment/{run}"]

    def events(self, run: str) -> list[str]:
        """What they are about."""
        return [row.event for row in self.rows(run)]

    def note(self, run: str, dag_id: str = DEPLOY) -> str:
        """What the run's page says of it."""
        return self.engineer.get(f"/api/v2/dags/{dag_id}/dagRuns/{run}")["note"] or ""

    def log(self, run: str, task: str, dag_id: str = DEPLOY) -> str:
        """The log of a task's first try, as JSON text."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/logs/1"
        return json.dumps(self.engineer.get(path)["content"], ensure_ascii=False)

    def result(self, run: str, task: str, dag_id: str = DEPLOY) -> dict[str, Any]:
        """What a task left."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        answer: dict[str, Any] = self.engineer.get(path, {"deserialize": "true"})["value"]
        return answer

    def links(self, run: str, task: str, dag_id: str = DEPLOY) -> dict[str, str | None]:
        """Where a task's buttons lead."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/links"
        links: dict[str, str | None] = self.engineer.get(path)["extra_links"]
        return links

    def callers(self) -> Traffic:
        """Some who ask at a steady pace, and never again for what failed."""
        rows = self.world.rows
        return Traffic(self.endpoint.url, rows, callers=CALLERS, retries=False, pause=PAUSE)

    def outcomes(self, traffic: Traffic, told: Told) -> Outcomes:
        """The callers' application, which tells what came of their answers."""
        return Outcomes(self.endpoint.url, traffic, told)

    def _ended(self, dag_id: str, run: str) -> str | None:
        state = self.engineer.run_state(dag_id, run)
        return state if state in ENDED else None


def write_overlay(path: Path, release: Mapping[str, Any]) -> None:
    """The use case with another release; how fast the machine is refuses no package."""
    gates = dict(BUSY_MACHINE)
    serving = {"max_smoke_ms": 5000.0}
    content = {USE_CASE: {"release": dict(release), "gates": gates, "serving": serving}}
    path.write_text(json.dumps(content))


@contextmanager
def open_rollouts(folder: Path, release: Mapping[str, Any]) -> Iterator[Rollouts]:
    """The platform below `folder`, with requests flowing."""
    overlay = folder / "overlay.json"
    write_overlay(overlay, release)
    airflow_port, serving_port = free_ports(2)
    settings = home_settings(
        folder / "home",
        share=0.15,
        AIRFLOW_PORT=airflow_port,
        SERVING_PORT=serving_port,
        SPEC_OVERLAY=overlay,
    )
    mlflow_at(settings.home / "mlflow.db")
    world = with_many_units(build_world(settings, versions=VERSIONS))
    for number in (GOOD, BETTER):
        register(settings, world, number)
    if register_turned(settings, world.use_case, world.packages[BETTER]) != TURNED:
        raise ValueError(f"the turned package must be version {TURNED}")
    with ExitStack() as stack:
        endpoint = stack.enter_context(Endpoint(settings, port=serving_port))
        airflow = stack.enter_context(Airflow(settings, dags=DAGS))
        engineer, reviewer = airflow.api("engineer"), airflow.api("reviewer")
        for dag_id in (DEPLOY, ROLL_BACK):
            engineer.wait_for_dag(dag_id)
        yield Rollouts(world, endpoint, airflow, engineer, reviewer, overlay)


def _share(stage: str) -> float:
    digits = "".join(sign for sign in stage if sign.isdigit())
    return float(digits or 0)
