"""The platform in containers: it trains, deploys and answers, and loses nothing when the workers'
broker, a replica of the endpoint or the online store is killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from include.errors import PlatformError
from proofs.containers.answers import (
    example_row,
    probability,
    replicas_over_grpc,
    replicas_over_http,
)
from proofs.containers.stack import Stack
from proofs.faults.line import Line
from proofs.harness.endpoint import USE_CASE
from proofs.harness.traffic import Traffic

FIRST, LAST = "2013-01", "2013-04"
RUNNING = 12
"""Containers that go on running: PostgreSQL, Valkey, object storage, MLflow, four of Airflow, two
endpoints and what ships their log, the proxy.
"""
WITH_WORKERS = 3
"""Two workers and their broker."""
TAKEN = 3
"""Tasks of a training that workers have taken when the broker is killed."""
LOOKED_INTO = ("airflow-scheduler", "serving", "mlflow", "valkey", "postgres")
NEEDED = ("bringing the platform up", "training and deploying")
CALLERS, BEFORE, AFTER = 4, 40, 80
DEPLOY_SECONDS = 600.0
LOGGED_IDS = """
import json
from include.inference_log.log import log_table
from include.settings import load_settings
from include.tables.store import TableStore
settings = load_settings()
tables = TableStore(settings.tables_uri)
name = log_table("flight_delays")
rows = tables.read(name) if tables.exists(name) else None
print("ids", json.dumps([] if rows is None else rows["prediction_id"].to_list()))
"""
VERSIONS = """
from include.registry.client import connect
from include.settings import load_settings
versions = connect(load_settings()).search_model_versions("name='flight_delays'")
print("versions", len(versions))
"""


def platform_drills(stack: Stack, secrets: Path, say: Callable[[str], None]) -> list[Line]:
    """Every drill in its order; those after a failed one would only repeat it."""
    drills: dict[str, Callable[[], list[Line]]] = {
        "bringing the platform up": lambda: [come_up(stack)],
        "training and deploying": lambda: train_and_deploy(stack, say),
        "asking both replicas": lambda: [answers_of_both(stack)],
        "killing a replica under load": lambda: [kill_a_replica(stack)],
        "killing the online store under load": lambda: [kill_the_online_store(stack)],
        "looking for every password": lambda: [no_secret_is_seen(stack, secrets)],
    }
    lines: list[Line] = []
    for name, drill in drills.items():
        say(name)
        lines += _to_its_end(name, drill, stack)
        if name in NEEDED and not all(line.holds for line in lines):
            break
    return lines


def _to_its_end(name: str, drill: Callable[[], list[Line]], stack: Stack) -> list[Line]:
    """The lines of a drill, or one that says why it has none."""
    try:
        return drill()
    except PlatformError as error:
        return [Line(name, "to its end", "broken off", f"{error}\n{stack.logs()[-4000:]}")]


def come_up(stack: Stack) -> Line:
    """One command brings everything up."""
    started = time.monotonic()
    try:
        stack.up()
        problem = ""
    except PlatformError as error:
        problem = f"; {error}\n{stack.logs()[-8000:]}"
    taken = time.monotonic() - started
    health = stack.health()
    ill = {name: state for name, state in health.items() if state != "healthy"}
    ended = [one["Service"] for one in stack.containers() if one["State"] == "exited"]
    seen = f"{len(health) - len(ill)} containers healthy, ended well: {', '.join(sorted(ended))}"
    running = RUNNING + (WITH_WORKERS if stack.has_workers else 0)
    return Line(
        "bring the platform up by one command",
        f"{running} containers healthy, ended well: bucket, migrate",
        f"{seen}; {ill}" if ill or problem else seen,
        f"{taken:.0f} s{problem}",
    )


def train_and_deploy(stack: Stack, say: Callable[[str], None]) -> list[Line]:
    """Features of a quarter, a training and its release, by the commands and by Airflow's DAGs;
    the workers' broker is killed under the training.
    """
    lines = [_command(stack, say, "backfill", "--from", FIRST, "--to", LAST)]
    if lines[-1].holds:
        training = ("train", "--to", LAST, "--trials", "1")
        if stack.has_workers:
            lines += train_without_a_broker(stack, say, training)
        else:
            lines.append(_command(stack, say, *training))
    if all(line.holds for line in lines):
        lines.append(_command(stack, say, "deploy"))
    return lines


def _command(stack: Stack, say: Callable[[str], None], command: str, *options: str) -> Line:
    """One command in the scheduler's container, whose run Airflow executes."""
    say(f"flightdeck {command} {USE_CASE}")
    started = time.monotonic()
    done = stack.execute(
        "airflow-scheduler", "flightdeck", command, USE_CASE, *options, check=False
    )
    text = f"{time.monotonic() - started:.0f} s; {_last_words(done)}"
    if done.returncode != 0:
        text = f"{text}\n{stack.logs()[-4000:]}"
    return Line(f"flightdeck {command} in Airflow", "exit 0", f"exit {done.returncode}", text)


def train_without_a_broker(
    stack: Stack, say: Callable[[str], None], training: tuple[str, ...]
) -> list[Line]:
    """kill -9 of the workers' broker in the middle of a training, which goes on all the same."""
    before = _taken(stack)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(_command, stack, say, *training)
        stack.wait_for(
            f"{TAKEN} tasks are not taken",
            lambda: run.done() or _taken(stack) >= before + TAKEN,
            300.0,
        )
        during = not run.done()
        say("killing the broker under the training")
        stack.kill("broker")
        back = stack.wait_for("the broker is not well", lambda: _is_well(stack, "broker-1"))
        trained = run.result()
    registered = _printed(stack, VERSIONS, "versions ")
    return [
        trained,
        Line(
            "kill -9 the broker while workers train",
            "during the training: True, it ended well: True, versions: 1",
            f"during the training: {during}, it ended well: {trained.holds},"
            f" versions: {registered}",
            f"{_taken(stack) - before} tasks taken, {TAKEN} of them before; back after"
            f" {back:.0f} s",
        ),
    ]


def _taken(stack: Stack) -> int:
    """How many tasks the workers have taken, by their logs."""
    logs = stack.compose("logs", "--no-color", "airflow-worker", check=False).stdout
    return logs.count("] received")


def _printed(stack: Stack, program: str, label: str) -> str:
    """What a program in the scheduler's container printed after `label`."""
    done = stack.execute("airflow-scheduler", "python", "-P", "-c", program)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(label)]
    return line.removeprefix(label)


def _last_words(done: CompletedProcess[str]) -> str:
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    named = [line for line in lines if USE_CASE in line and not line.startswith("[")]
    return (named or lines or ["nothing"])[-1][:160]


def answers_of_both(stack: Stack) -> Line:
    """Both replicas answer over HTTP and over gRPC."""
    row = example_row(stack)
    http, over_grpc = replicas_over_http(stack, row), replicas_over_grpc(stack, row)
    return Line(
        "ask through the proxy",
        "answers of 2 replicas over HTTP, 2 over gRPC",
        f"answers of {len(http)} replicas over HTTP, {len(over_grpc)} over gRPC",
        f"{', '.join(sorted(http))}; {', '.join(sorted(over_grpc))}",
    )


def kill_a_replica(stack: Stack) -> Line:
    """kill -9 of one of two endpoints while callers ask."""
    row = example_row(stack)
    with Traffic(stack.http, [row] * CALLERS * 4, callers=CALLERS).flowing() as traffic:
        traffic.wait_for(BEFORE)
        stack.kill("serving")
        traffic.wait_for(AFTER)
    back = stack.wait_for(
        "two replicas do not answer", lambda: len(replicas_over_http(stack, row, 5.0)) == 2
    )
    return _account("kill -9 one of two endpoints under load", stack, traffic, f"{back:.0f} s")


def kill_the_online_store(stack: Stack) -> Line:
    """kill -9 of Valkey while callers ask about rows that are looked up there."""
    row = example_row(stack)
    before = probability(stack, row)
    with Traffic(stack.http, [row] * CALLERS * 4, callers=CALLERS).flowing() as traffic:
        traffic.wait_for(BEFORE)
        stack.kill("valkey")
        traffic.wait_for(AFTER)
    back = stack.wait_for("Valkey is not well", lambda: _is_well(stack, "valkey-1"))
    kept = "the same features" if probability(stack, row) == before else "other features"
    line = _account("kill -9 the online store under load", stack, traffic, f"{back:.0f} s; {kept}")
    return Line(
        line.fault, f"{line.expected}, the same features", f"{line.seen}, {kept}", line.detail
    )


def _is_well(stack: Stack, name: str) -> bool:
    return stack.health().get(name) == "healthy"


def _account(fault: str, stack: Stack, traffic: Traffic, detail: str) -> Line:
    """Callers saw no error, and each answer is in the log once."""
    logged = _logged(stack)
    answered = traffic.answered
    lost = len(set(answered) - set(logged))
    doubled = len(logged) - len(set(logged))
    errors = sum(traffic.errors.values())
    return Line(
        fault,
        "0 errors of callers, 0 answers lost, 0 logged twice",
        f"{errors} errors of callers, {lost} answers lost, {doubled} logged twice",
        f"{len(answered)} answers, {traffic.repeats} asked again, slowest {traffic.slowest:.1f} s;"
        f" back after {detail}" + (f"; {dict(traffic.errors)}" if errors else ""),
    )


def _logged(stack: Stack) -> list[str]:
    """The prediction ids of the log, after what the endpoints still had was shipped."""
    stack.execute("ship", "flightdeck", "ship")
    ids: list[str] = json.loads(_printed(stack, LOGGED_IDS, "ids "))
    return ids


def no_secret_is_seen(stack: Stack, secrets: Path) -> Line:
    """No password is in a container's variables, in its command lines or in a log."""
    passwords = {
        f"{name} of {file}": password
        for file in ("accounts.json", "passwords.json")
        for name, password in json.loads((secrets / file).read_text("utf-8")).items()
    }
    workers = stack.has_workers
    places: dict[str, Any] = {
        "variables": stack.inspected(),
        "command lines": "".join(
            stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline", check=False).stdout
            for service in (*LOOKED_INTO, *(("airflow-worker", "broker") if workers else ()))
        ),
        "logs": stack.compose("logs", "--no-color", check=False).stdout,
    }
    seen = sorted(
        f"{name} in {place}"
        for place, text in places.items()
        for name, password in passwords.items()
        if password in text
    )
    looked = ", ".join(f"{place} {len(text):,} characters" for place, text in places.items())
    return Line(
        "look for every password", "seen: none", f"seen: {', '.join(seen) or 'none'}", looked
    )
