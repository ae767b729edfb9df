"""The replay itself: which DAG runs, in which order, until when. Every step is safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from cli.demo import facts
from cli.demo.canary import LiveTraffic
from cli.demo.challenger import REASON, register_turned
from cli.demo.state import DemoState, MonthState, ReleaseState
from cli.demo.traffic import asking_hours, replay_day, requests_of
from cli.platform.airflow_api import AirflowApi
from include.errors import PlatformError
from include.interval import Interval
from include.release.model_store import desired
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.tls import trusted

FINISHED = ("success", "failed")
RUN_LIMIT_SECONDS = 1800
FOLLOW_UP_LIMIT_SECONDS = 120
FIRST_CHAMPION = "first_champion"
PROMOTED = "promoted"
BAD_CHALLENGER = "deliberately_bad_challenger"


@dataclass
class Replay:
    """One replay of one use case.

    `say` shows a line of progress; `save` keeps the state after every step.
    """

    use_case: UseCase
    settings: Settings
    api: AirflowApi
    state: DemoState
    say: Callable[[str], None]
    save: Callable[[], None]

    def prepare(self, history: list[Interval]) -> None:
        """Back-fill the features of `history`, train and deploy the first champion (unless there is
        one already).
        """
        for process in ("features", "training", "deployment", "batch_scoring", "monitoring"):
            self.api.wait_for_dag(self.use_case.dag_id(process))
        if self.champion() is not None:
            self.say(f"champion: version {self.champion()} is in service already")
            return
        self.backfill_features(history)
        self.train_first(history[-1].end)

    def backfill_features(self, history: list[Interval]) -> None:
        """Replay the features DAG over `history` with Airflow's own backfill; runs that are there
        already are kept.
        """
        dag_id = self.use_case.dag_id("features")
        self.say(f"features: backfill {history[0].start:%B} to {history[-1].start:%B}")
        done = {
            run["data_interval_start"] for run in self.api.runs(dag_id) if run["state"] == "success"
        }
        if len(done) < len(history):
            self.api.backfill(dag_id, history[0].start, history[-1].start)
        self.wait(
            dag_id,
            lambda runs: sum(run["state"] == "success" for run in runs) >= len(history),
            "backfill of features",
        )

    def train_first(self, until: datetime) -> None:
        """Train on the window that ends at `until` and wait until the version serves; a deployment
        that an earlier replay left failed runs again.
        """
        self.say(
            f"training: first champion on the {self.use_case.training.window_days} days before"
            f" {until:%d %B}"
        )
        dag_id = self.use_case.dag_id("training")
        run_id = f"{FIRST_CHAMPION}__{until:%Y-%m-%d}"
        conf = {"until": until.date().isoformat(), "reason": "first champion of the replay"}
        self.start(dag_id, run_id, None, conf)
        if self.wait_for_run(dag_id, run_id) != "success":
            decision = facts.training_decision(self.use_case, self.tables, run_id)
            reasons = "; ".join(decision["reasons"]) if decision else "it recorded no decision"
            raise PlatformError(
                f"The first training ended without a model ({run_id}): {reasons}."
                f" {self.where(dag_id, run_id)}"
            )
        deployment = self.use_case.dag_id("deployment")
        started = self.run_started_by(deployment, dag_id, run_id)
        if self.api.run_state(deployment, started) == "failed":
            self.rerun(deployment, started)
        deployed = self.await_deployment(dag_id, run_id)
        if not deployed.startswith(PROMOTED):
            raise PlatformError(f"The first model does not serve: {deployed}.")

    def month(self, interval: Interval) -> dict[str, Any]:
        """Replay one month; returns its row of the summary."""
        name = f"{interval.start:%Y-%m}"
        progress = self.state.month(name)
        if progress.result is not None:
            return progress.result
        self.succeed("features", name, interval, {"materialise_until": interval.start.isoformat()})
        self.traffic(interval, progress)
        self.succeed("batch_scoring", name, interval, {})
        monitoring_run = self.succeed("monitoring", name, interval, {})
        decision = self.follow_alarm(interval, monitoring_run)
        self.try_bad_challenger(interval)
        row = facts.month_row(self.use_case, self.settings, interval, decision)
        progress.result = {
            **row,
            "requests_served": progress.requests_served,
            "requests_failed": progress.requests_failed,
        }
        self.save()
        return progress.result

    def traffic(self, interval: Interval, progress: MonthState) -> None:
        """Send the days of the month that have not been sent yet."""
        for number, hour in enumerate(asking_hours(interval)):
            if number < progress.days_sent:
                continue
            day = replay_day(self.use_case, self.settings, hour)
            progress.days_sent = number + 1
            progress.requests_served += day.served
            progress.requests_failed += day.failed
            self.save()
            failures = (
                f", {progress.requests_failed} failed ({day.first_failure})" if day.failed else ""
            )
            self.say(
                f"{interval.start:%B}: live traffic, day {number + 1}, {progress.requests_served}"
                f" requests answered{failures}"
            )

    def follow_alarm(self, interval: Interval, monitoring_run: str) -> str:
        """What became of the month's alarm:

        `none`, `promoted v3`, `refused: ...` or `suppressed: ...`.
        """
        row = facts.monitored(self.use_case, self.tables, interval)
        if not row["alarm"]:
            return "none"
        cause = facts.alarm_cause(self.use_case, self.settings, monitoring_run)
        if cause is not None and cause.status == "suppressed":
            self.say(
                f"{interval.start:%B}: alarm ({row['verdict']}), suppressed:"
                f" {cause.suppressed_because}"
            )
            return f"suppressed: {cause.suppressed_because}"
        self.say(
            f"{interval.start:%B}: alarm ({row['verdict']}), waiting for the training that it"
            " starts"
        )
        dag_id = self.use_case.dag_id("training")
        run_id = self.run_started_by(dag_id, self.use_case.dag_id("monitoring"), monitoring_run)
        self.wait_for_run(dag_id, run_id)
        # Another training may have taken the alarm as one of its causes; then the run that the
        # event started had nothing to do.
        cause = facts.alarm_cause(self.use_case, self.settings, monitoring_run)
        if cause is not None and cause.consumed_by not in (None, run_id):
            run_id = str(cause.consumed_by)
            self.wait_for_run(dag_id, run_id)
        decision = facts.training_decision(self.use_case, self.tables, run_id)
        if decision is None:
            raise PlatformError(
                f"Training run {run_id} ended without a decision. {self.where(dag_id, run_id)}"
            )
        if decision["decision"] != "accepted":
            return "refused: " + "; ".join(decision["reasons"])
        return self.await_deployment(dag_id, run_id, interval)

    def await_deployment(
        self, training_dag: str, training_run: str, asked: Interval | None = None
    ) -> str:
        """Wait for the deployment that a training started, while callers ask about the flights
        of `asked`; `promoted v<n>` or `not deployed: ...`.
        """
        dag_id = self.use_case.dag_id("deployment")
        run_id = self.run_started_by(dag_id, training_dag, training_run)
        if self.release(run_id, asked) == "success":
            return f"{PROMOTED} v{self.champion()}"
        return f"not deployed: {self.why(dag_id, run_id)}"

    def try_bad_challenger(self, interval: Interval) -> None:
        """Once in a replay: release a challenger that answers the opposite, on live traffic, and
        see it rolled back.
        """
        if BAD_CHALLENGER in self.state.releases:
            return
        current = desired(self.settings, self.use_case.name)
        if current is None:
            raise PlatformError(f"No version of {self.use_case.name} serves; see `make status`.")
        dag_id = self.use_case.dag_id("deployment")
        version = register_turned(self.settings, self.use_case, current.folder)
        self.say(f"version {version} is {REASON}")
        # It ends red, and a replay that goes on does not start it again.
        conf = {"version": version, "reason": REASON}
        self.api.trigger(dag_id, BAD_CHALLENGER, conf=conf)
        if self.release(BAD_CHALLENGER, interval) == "success":
            raise PlatformError(
                f"The deliberately bad version {version} was promoted."
                f" {self.where(dag_id, BAD_CHALLENGER)}"
            )

    def release(self, run_id: str, asked: Interval | None) -> str:
        """Wait for the end of a deployment, while callers ask about the flights of `asked`; the
        run's final state.
        """
        dag_id = self.use_case.dag_id("deployment")
        if asked is None:
            state = self.wait_for_run(dag_id, run_id)
            self.state.releases[run_id] = ReleaseState()
            self.save()
            return state
        rows = requests_of(self.use_case, self.settings, asked.start, asked.end)
        self.say(f"deployment: live traffic while {run_id} runs")
        with LiveTraffic(self.settings, self.use_case.name, rows).flowing() as traffic:
            state = self.wait_for_run(dag_id, run_id)
        self.state.releases[run_id] = ReleaseState(traffic.served, traffic.failed)
        self.save()
        failures = f" ({traffic.first_failure})" if traffic.failed else ""
        self.say(
            f"deployment: {'promoted' if state == 'success' else 'not promoted'};"
            f" {traffic.served} requests answered meanwhile, {traffic.failed} failed{failures}"
        )
        return state

    def succeed(self, process: str, name: str, interval: Interval, conf: dict[str, Any]) -> str:
        """Run a process on the interval and insist on success; returns the run id."""
        dag_id = self.use_case.dag_id(process)
        run_id = f"replay__{name}"
        self.say(f"{interval.start:%B}: {process.replace('_', ' ')}")
        self.start(dag_id, run_id, interval, conf)
        if self.wait_for_run(dag_id, run_id) != "success":
            raise PlatformError(f"{dag_id} failed for {name}: {self.why(dag_id, run_id)}")
        return run_id

    def start(
        self, dag_id: str, run_id: str, interval: Interval | None, conf: dict[str, Any]
    ) -> None:
        """Trigger the run; one that an earlier, interrupted replay left failed runs again."""
        date, window = (
            (None, None) if interval is None else (interval.start, (interval.start, interval.end))
        )
        state = self.api.trigger(dag_id, run_id, logical_date=date, data_interval=window, conf=conf)
        if state == "failed":
            self.rerun(dag_id, run_id)

    def rerun(self, dag_id: str, run_id: str) -> None:
        """Run a failed run again, and see it begin."""
        self.api.rerun(dag_id, run_id)
        self.wait(
            dag_id,
            lambda runs: any(
                run["dag_run_id"] == run_id and run["state"] != "failed" for run in runs
            ),
            f"restart of {run_id}",
        )

    def run_started_by(self, dag_id: str, source_dag: str, source_run: str) -> str:
        """The run of `dag_id` that consumed the asset event of `source_run`."""
        deadline = time.monotonic() + FOLLOW_UP_LIMIT_SECONDS
        while time.monotonic() < deadline:
            for run in self.api.runs(dag_id):
                events = self.api.get(
                    f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}/upstreamAssetEvents"
                )["asset_events"]
                if any(
                    (event["source_dag_id"], event["source_run_id"]) == (source_dag, source_run)
                    for event in events
                ):
                    return str(run["dag_run_id"])
            time.sleep(1)
        raise PlatformError(
            f"No run of {dag_id} was started by {source_dag} {source_run} within"
            f" {FOLLOW_UP_LIMIT_SECONDS} s."
        )

    def wait_for_run(self, dag_id: str, run_id: str) -> str:
        """The run's final state."""
        self.wait(
            dag_id,
            lambda runs: any(
                run["dag_run_id"] == run_id and run["state"] in FINISHED for run in runs
            ),
            run_id,
        )
        return self.api.run_state(dag_id, run_id)

    def wait(self, dag_id: str, reached: Callable[[list[dict[str, Any]]], bool], what: str) -> None:
        """Poll the runs of `dag_id` until `reached`."""
        deadline = time.monotonic() + RUN_LIMIT_SECONDS
        while not reached(self.api.runs(dag_id)):
            if time.monotonic() > deadline:
                raise PlatformError(
                    f"{dag_id}: {what} did not end within {timedelta(seconds=RUN_LIMIT_SECONDS)}."
                    f" {self.where(dag_id)}"
                )
            time.sleep(0.5)

    def champion(self) -> int | None:
        """The version that the endpoint serves, or `None`."""
        answer = httpx.get(
            f"{self.settings.serving_url}/v1/models",
            timeout=10,
            headers=self.settings.endpoint_headers,
            verify=trusted(),
        )
        models = (
            {model["use_case"]: model for model in answer.json()["models"]}
            if answer.status_code == httpx.codes.OK
            else {}
        )
        version = models.get(self.use_case.name, {}).get("version")
        return None if version is None else int(version)

    def why(self, dag_id: str, run_id: str) -> str:
        """Why a run failed, and where to look."""
        return "; ".join([*self.api.failures(dag_id, run_id), self.where(dag_id, run_id)])

    def where(self, dag_id: str, run_id: str = "") -> str:
        """Where to look in the Airflow UI."""
        return f"Look at {self.settings.airflow_page}/dags/{dag_id}/runs/{run_id}".rstrip("/")

    @property
    def tables(self) -> TableStore:
        """All tables."""
        return TableStore(self.settings.tables_uri)
