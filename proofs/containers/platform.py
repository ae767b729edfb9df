"""The platform in containers: it trains, deploys and answers, and loses nothing when a replica of
the endpoint or the online store is killed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

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


def platform_drills(stack: Stack, secrets: Path, say: Callable[[str], None]) -> list[Line]:
    """Every drill in its order; those after a failed one would only repeat it."""
    lines = [come_up(stack, say), *train_and_deploy(stack, say)]
    if all(line.holds for line in lines):
        say("asking both replicas")
        lines.append(answers_of_both(stack))
        say("killing a replica under load")
        lines.append(kill_a_replica(stack))
        say("killing the online store under load")
        lines.append(kill_the_online_store(stack))
        lines.append(no_secret_is_seen(stack, secrets))
    return lines


def come_up(stack: Stack, say: Callable[[str], None]) -> Line:
    """One command brings everything up."""
    say("bringing the platform up")
    started = time.monotonic()
    stack.up()
    taken = time.monotonic() - started
    health = stack.health()
    ill = {name: state for name, state in health.items() if state != "healthy"}
    ended = [one["Service"] for one in stack.containers() if one["State"] == "exited"]
    seen = f"{len(health) - len(ill)} containers healthy, ended well: {', '.join(sorted(ended))}"
    return Line(
        "bring the platform up by one command",
        f"{RUNNING} containers healthy, ended well: bucket, migrate",
        f"{seen}; {ill}" if ill else seen,
        f"{taken:.0f} s",
    )


def train_and_deploy(stack: Stack, say: Callable[[str], None]) -> list[Line]:
    """Features of a quarter, a training and its release, by the commands and by Airflow's DAGs."""
    commands = {
        "backfill": ("--from", FIRST, "--to", LAST),
        "train": ("--to", LAST, "--trials", "1"),
        "deploy": (),
    }
    lines = []
    for command, options in commands.items():
        say(f"flightdeck {command} {USE_CASE}")
        started = time.monotonic()
        done = stack.execute(
            "airflow-scheduler", "flightdeck", command, USE_CASE, *options, check=False
        )
        text = f"{time.monotonic() - started:.0f} s; {_last_words(done)}"
        lines.append(
            Line(f"flightdeck {command} in Airflow", "exit 0", f"exit {done.returncode}", text)
        )
        if done.returncode != 0:
            return [*lines[:-1], Line(*_with_logs(lines[-1], stack))]
    return lines


def _last_words(done: CompletedProcess[str]) -> str:
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    named = [line for line in lines if USE_CASE in line and not line.startswith("[")]
    return (named or lines or ["nothing"])[-1][:160]


def _with_logs(line: Line, stack: Stack) -> tuple[str, str, str, str]:
    return line.fault, line.expected, line.seen, f"{line.detail}\n{stack.logs()[-4000:]}"


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
    done = stack.execute("airflow-scheduler", "python", "-P", "-c", LOGGED_IDS)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ids ")]
    ids: list[str] = json.loads(line.removeprefix("ids "))
    return ids


def no_secret_is_seen(stack: Stack, secrets: Path) -> Line:
    """No password is in a container's variables, in its command lines or in a log."""
    passwords = {
        f"{name} of {file}": password
        for file in ("accounts.json", "passwords.json")
        for name, password in json.loads((secrets / file).read_text("utf-8")).items()
    }
    places: dict[str, Any] = {
        "variables": stack.inspected(),
        "command lines": "".join(
            stack.execute(service, "sh", "-c", "cat /proc/[0-9]*/cmdline", check=False).stdout
            for service in ("airflow-scheduler", "serving", "mlflow", "valkey", "postgres")
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
