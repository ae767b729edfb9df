"""What Airflow's metadata database costs and bears: SQLite against the PostgreSQL that the platform
starts, in the same run.

Back-fills of a year are asked for as the README does, for two use cases in turn, while Airflow runs
what they have made; every call is made once, so that the first answer counts.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psutil
import typer

from cli.platform.environment import process_environment, settings_environment
from cli.platform.leftovers import find_leftovers
from cli.tables import print_table
from include import files
from include.errors import PlatformError
from include.settings import PREFIX, PROJECT_ROOT, Settings, load_settings
from proofs.bench.database.dags import CHAIN, CHAIN_TASKS, USE_CASES, write_dags
from proofs.harness.airflow import Airflow
from proofs.harness.backfills import BackfillCall, Backfills
from proofs.harness.ports import free_ports

KINDS = ("sqlite", "embedded")
ROUNDS, QUICK_ROUNDS = 10, 2
CHAINS = 3
MONTHS = 12
FIRST_YEAR = 2000
IDLE_SECONDS = 30.0
CHAIN_SECONDS = 180.0
SETTLE_SECONDS = 10.0


@dataclass(frozen=True)
class Cost:
    """One database. Times in seconds, processor time as a share of one core, memory in MB
    (proportional set size of all processes of the platform).
    """

    database: str
    calls: int
    failed: int
    locked: int
    half_made: int
    call_median: float
    call_longest: float
    task: float
    first_start: float
    next_start: float
    idle_cpu: float
    memory: float


def bench_database(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{QUICK_ROUNDS} rounds instead of {ROUNDS}.")
    ] = False,
) -> None:
    """Measure Airflow on SQLite and on the platform's PostgreSQL.

    Writes bench/database.json in FLIGHTDECK_HOME.
    """
    home = load_settings().home / "bench"
    costs = [
        measure(home / "database-home", kind, QUICK_ROUNDS if quick else ROUNDS) for kind in KINDS
    ]
    print_table(
        f"Airflow's database, back-fills of {MONTHS} months for {len(USE_CASES)} use cases",
        ("measurement", *(cost.database for cost in costs)),
        zip(asdict(costs[0]), *(map(_shown, asdict(cost).values()) for cost in costs), strict=True),
    )
    path = home / ("database-quick.json" if quick else "database.json")
    files.write(path, json.dumps([asdict(cost) for cost in costs], indent=2) + "\n")
    print(f"Written to {path}")


def measure(folder: Path, kind: str, rounds: int) -> Cost:
    """Start a platform on a database of this kind twice, then an Airflow with the bench's DAGs."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        platform = _settings(folder / "platform", kind)
        with _up(platform) as first_start:
            print(f"  {kind}: up after {first_start:.1f} s", flush=True)
            time.sleep(SETTLE_SECONDS)
            idle_cpu, memory = _idle(platform)
        with _up(platform) as next_start:
            print(f"  {kind}: up again after {next_start:.1f} s", flush=True)
        own = _settings(folder / "airflow", kind)
        with Airflow(own, dags=write_dags(folder / "dags")) as airflow, Backfills(own) as backfills:
            for dag_id in (*USE_CASES, CHAIN):
                airflow.api().wait_for_dag(dag_id)
            task = statistics.median(_chain(airflow, number) for number in range(CHAINS))
            calls = list(_back_fill(backfills, rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Cost(
        database=kind,
        calls=len(calls),
        failed=sum(call.detail != "" for call in calls),
        locked=sum(call.is_locked for call in calls),
        half_made=sum(call.is_half_made for call in calls),
        call_median=statistics.median(call.seconds for call in calls),
        call_longest=max(call.seconds for call in calls),
        task=task,
        first_start=first_start,
        next_start=next_start,
        idle_cpu=idle_cpu,
        memory=memory,
    )


def _back_fill(backfills: Backfills, rounds: int) -> Iterator[BackfillCall]:
    """A year for each use case, another one in each round."""
    for number in range(rounds):
        year = FIRST_YEAR + number
        first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year, MONTHS, 1, tzinfo=UTC)
        for dag_id in USE_CASES:
            call = backfills.ask(dag_id, first, last)
            made = f"{call.runs} runs" if not call.detail else call.detail
            print(f"  {dag_id} {year}: {call.status} in {call.seconds:.2f} s, {made}", flush=True)
            yield call
        for dag_id in USE_CASES:
            backfills.end(dag_id)


def _chain(airflow: Airflow, number: int) -> float:
    """Seconds for one task of a chain of trivial ones, from the trigger to the last one's end."""
    api, run_id = airflow.api(), f"chain-{number}"
    begin = time.monotonic()
    api.trigger(CHAIN, run_id)
    state = airflow.wait_for(
        "finish a chain of tasks",
        lambda: (state := api.run_state(CHAIN, run_id)) in ("success", "failed") and state,
        seconds=CHAIN_SECONDS,
    )
    if state != "success":
        raise PlatformError(f"the run {run_id} of {CHAIN} ended as {state}.")
    return (time.monotonic() - begin) / CHAIN_TASKS


@contextmanager
def _up(settings: Settings) -> Iterator[float]:
    """A platform, with the seconds that its start took; it is stopped at the end."""
    begin = time.monotonic()
    _command(settings, "up")
    try:
        yield time.monotonic() - begin
    finally:
        _command(settings, "down")


def _command(settings: Settings, name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli", name],
        cwd=PROJECT_ROOT,
        env=_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PlatformError(f"`flightdeck {name}` failed: {done.stderr.strip()[-2000:]}")


def _idle(settings: Settings) -> tuple[float, float]:
    """Share of a core that a platform takes with nothing to do, and its memory in MB."""
    family = find_leftovers(settings)
    before = _cpu_seconds(family)
    time.sleep(IDLE_SECONDS)
    after = _cpu_seconds(family)
    spent = sum(after[pid] - before[pid] for pid in after.keys() & before.keys())
    return spent / IDLE_SECONDS, sum(_memory_mb(process) for process in family)


def _cpu_seconds(processes: Sequence[psutil.Process]) -> dict[int, float]:
    seconds = {}
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds[process.pid] = times.user + times.system
    return seconds


def _memory_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


def _settings(home: Path, kind: str) -> Settings:
    airflow, mlflow, serving = free_ports(3)
    values: Mapping[str, object] = {
        "ENV": "test",
        "HOME": home,
        "AIRFLOW_DATABASE": kind,
        "AIRFLOW_PORT": airflow,
        "MLFLOW_PORT": mlflow,
        "SERVING_PORT": serving,
    }
    home.mkdir(parents=True)
    return load_settings({f"{PREFIX}{name}": str(value) for name, value in values.items()})


def _environment(settings: Settings) -> dict[str, str]:
    return process_environment(settings_environment(settings))


def _shown(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
