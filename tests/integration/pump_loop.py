"""The loop in one piece, of the small use case in a copy of the project that has it: `python -m
tests.integration.pump_loop`.

A champion of January serves, and February has been scored by it. Then somebody lets Airflow watch
February; all that follows until version 2 serves Airflow does by itself. At last it watches March.
The last line printed is what was there at each point, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from include.alarms.store import AlarmStore
from include.catalogue import load_use_case
from include.errors import PlatformError
from include.interval import Interval
from include.processes.local import run_process
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.steps import RunInfo, StepContext
from include.triggers.causes import read_causes
from proofs.harness.airflow import Account, Airflow
from proofs.harness.databases import mlflow_at
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import enter_home
from proofs.harness.ports import free_ports
from tests.integration.pump_faults.months import FEBRUARY, JANUARY, MARCH, NAME
from tests.unit.alarms.receivers import Hook, webhook

STARTED = ("training", "deployment")
"""The processes that nobody starts here."""
ENDED = ("success", "failed")
RUN_SECONDS = 600.0
POLL_SECONDS = 1.0
QUESTION = {"pump": "pump 07", "vibration": 1.4, "pressure": 0.9, "flow": 1.1, "load": 0.2}


@dataclass(frozen=True)
class Loop:
    """What runs, and what can be seen of it."""

    settings: Settings
    hook: Hook
    endpoint: Endpoint
    engineer: Account

    def watch(self, month: Interval) -> str:
        """Let Airflow watch a month, and wait for the end of that run; its id."""
        span = (month.start, month.end)
        options: dict[str, Any] = {"logical_date": month.start, "data_interval": span}
        self.engineer.trigger(dag_of("monitoring"), month.label, **options)
        self.end("monitoring", month.label)
        return month.label

    def started(self, process: str) -> str:
        """The run of a process that Airflow starts by itself, when it has ended."""
        runs = until(f"{process} starts", lambda: self.engineer.runs(dag_of(process)))
        self.end(process, runs[0]["dag_run_id"])
        return str(runs[0]["dag_run_id"])

    def end(self, process: str, run: str) -> None:
        """Wait until a run has ended; `PlatformError` says why it did not end well."""
        dag_id = dag_of(process)

        def state() -> str | None:
            current = self.engineer.run_state(dag_id, run)
            return current if current in ENDED else None

        if until(f"{run} of {process} ends", state) != "success":
            note = self.engineer.get(f"/api/v2/dags/{dag_id}/dagRuns/{quote(run, safe='')}")["note"]
            raise PlatformError(f"{run}: {note} {self.engineer.failures(dag_id, run)}")

    def run(self, process: str, run: str, *tasks: str) -> dict[str, Any]:
        """A run as Airflow shows it, with the asset events that started it, and what some of its
        tasks left.
        """
        path = f"/api/v2/dags/{dag_of(process)}/dagRuns/{quote(run, safe='')}"
        shown = self.engineer.get(path)
        names = ("dag_run_id", "run_type", "triggered_by", "triggering_user_name", "note")
        events = self.engineer.get(f"{path}/upstreamAssetEvents")["asset_events"]
        results = {
            task: self.engineer.get(
                f"{path}/taskInstances/{task}/xcomEntries/return_value", {"deserialize": "true"}
            )["value"]
            for task in tasks
        }
        return {**{name: shown[name] for name in names}, "events": events, "results": results}

    def seen(self, at: datetime) -> dict[str, Any]:
        """What is there now: alarms with their histories, what people were told, what started
        trainings, runs, releases, and the answer to somebody who asks at a moment of the data.
        """
        store = AlarmStore(self.settings)
        alarms = {alarm.key.kind: alarm for alarm in store.alarms(use_case=NAME)}
        return {
            "alarms": {kind: alarm.model_dump(mode="json") for kind, alarm in alarms.items()},
            "history": {
                kind: [[item.event, item.actor, item.reason] for item in store.history(one.number)]
                for kind, one in alarms.items()
            },
            "told": list(self.hook.bodies),
            "causes": [asdict(cause) for cause in read_causes(self.settings, NAME)],
            "releases": [
                {**asdict(row), "run": row.run} for row in Ledger(self.settings).rows(NAME)
            ],
            "answer": self.answer(at),
        }

    def runs(self) -> dict[str, list[str]]:
        """The runs of what nobody starts here."""
        return {
            process: [run["dag_run_id"] for run in self.engineer.runs(dag_of(process))]
            for process in STARTED
        }

    def answer(self, at: datetime) -> Any:
        """What the endpoint answers."""
        rows = [{**QUESTION, "asked_at": at.isoformat()}]
        answer = self.endpoint.client.post(f"/v1/models/{NAME}/predict", json={"rows": rows})
        if not answer.is_success:
            raise PlatformError(f"the endpoint answers {answer.status_code}: {answer.text}")
        return answer.json()


def dag_of(process: str) -> str:
    return f"{NAME}__{process}"


def until(deed: str, look: Callable[[], Any]) -> Any:
    """Look until something is there. Each look costs Airflow's server a hundredth of a second, so
    they are a second apart.
    """
    deadline = time.monotonic() + RUN_SECONDS
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise PlatformError(f"{deed}: not within {RUN_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    return seen


def main() -> None:
    """Let it happen, and print what was seen."""
    home = Path(PROJECT_ROOT, "var")
    airflow_port, serving_port = free_ports(2)
    with webhook() as hook:
        ports = {"AIRFLOW_PORT": airflow_port, "SERVING_PORT": serving_port, "GRPC_PORT": 0}
        enter_home(home, ALARM_SINKS=sinks_of(home, hook), **ports)
        settings = load_settings()
        mlflow_at(home / "mlflow.db")
        with Endpoint(settings, port=serving_port) as endpoint:
            first_champion(settings)
            bring(settings, FEBRUARY)
            with Airflow(settings, dags=PROJECT_ROOT / "dags") as airflow:
                left = lived(Loop(settings, hook, endpoint, airflow.api("engineer")))
    sys.stdout.write(f"\n{json.dumps(left, default=str)}\n")


def sinks_of(home: Path, hook: Hook) -> Path:
    """The file of the one sink: everything goes to the webhook."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "hook.address").write_text(f"json://127.0.0.1:{hook.port}/")
    path = home / "sinks.toml"
    path.write_text('[hook]\naddress_file = "hook.address"\n')
    return path


def first_champion(settings: Settings) -> None:
    """Train on January and release what comes of it."""
    newest = Interval(JANUARY.end - timedelta(days=1), JANUARY.end)
    here(settings, "features", JANUARY)
    here(settings, "training", newest, trials=1, reason="the first")
    here(settings, "deployment", newest, reason="the first")


def bring(settings: Settings, month: Interval) -> None:
    """Features of a month, and its predictions by the champion."""
    here(settings, "features", month)
    here(settings, "batch_scoring", month)


def here(settings: Settings, process: str, interval: Interval, **params: Any) -> None:
    """Run a process in this one, as `flightdeck run` does; `PlatformError` where it refuses."""
    run = f"here_{process}_{interval.label}"
    info = RunInfo(process=process, run_id=run, triggered_by="test", params=params)
    done = run_process(StepContext(load_use_case(NAME), settings, interval, info), lambda _: None)
    if done.refused:
        raise PlatformError(f"{process} is refused: {done.refused}")


def lived(loop: Loop) -> dict[str, Any]:
    """February is watched, what follows from it, and then March."""
    for process in ("monitoring", *STARTED):
        loop.engineer.wait_for_dag(dag_of(process))
    left: dict[str, Any] = {"before": loop.seen(JANUARY.end), "started_before": loop.runs()}
    february = loop.watch(FEBRUARY)
    left["alarmed"] = loop.seen(FEBRUARY.end)
    training, deployment = loop.started("training"), loop.started("deployment")
    left["released"] = loop.seen(FEBRUARY.end)
    bring(loop.settings, MARCH)
    march = loop.watch(MARCH)
    left["after"] = loop.seen(MARCH.end)
    left["february"] = loop.run("monitoring", february, "decide_alarm")
    left["march"] = loop.run("monitoring", march, "decide_alarm")
    decided = ("open_run", "check_gates", "register_model")
    left["training"] = loop.run("training", training, *decided)
    left["deployment"] = loop.run("deployment", deployment)
    return {**left, "started": loop.runs()}


if __name__ == "__main__":
    main()
