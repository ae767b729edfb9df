"""`make up`, `make down`, `make status`."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import psutil
from rich.console import Console

from cli.platform import health, metadata, postgres, supervision
from cli.platform.environment import (
    PLATFORM_TAG,
    common_environment,
    passwords,
    process_environment,
)
from cli.platform.folders import log_dir, remove_short_socket_folder
from cli.platform.leftovers import end_leftovers, find_leftovers
from cli.platform.preflight import (
    migrate,
    migrations_of,
    require_disk,
    require_executor,
    require_object_storage,
    require_ports,
    require_sign_in,
    require_writable,
)
from cli.platform.processes import Process, platform_processes
from cli.platform.state import (
    PlatformState,
    only_one,
    read_state,
    running_settings,
    state_path,
    write_state,
)
from include.errors import PlatformError
from include.settings import Settings, load_settings
from include.settings.pods import pods_of
from include.settings.services import ADDRESSES, VARIABLE, Neighbour, neighbours

UP_SECONDS = 300.0
POLL_SECONDS = 0.5
LOG_LINES = 12
MOST_STARTS = 3

Say = Callable[[str], None]


def up(console: Console | None = None) -> Settings:
    """Start whatever is not running, wait until every process is well, print the addresses; return
    the settings in force.

    Raises `PlatformError` when it cannot start; what this call has started is stopped again first.
    """
    say: Say = (
        print
        if console is None
        else partial(console.print, highlight=False, markup=False, soft_wrap=True)
    )
    # Whatever is written below the home is its owner's alone: databases, logs, artefacts.
    os.umask(0o077)
    requested = load_settings()
    require_writable(requested)
    with only_one(requested, say):
        if supervision.is_running(requested):
            settings = running_settings()
            _say_that_it_runs(settings, requested, say)
            _start_in_order(settings, time.monotonic(), say)
        else:
            settings = _with_database(requested, say)
            _start(settings, say)
    _say_who_is_elsewhere(settings, say)
    say("")
    for line in address_lines(settings):
        say(line)
    return settings


def _with_database(settings: Settings, say: Say) -> Settings:
    """The settings with the database that holds, where Airflow's metadata lie on this host."""
    if "airflow" not in settings.runs:
        return settings
    if note := metadata.note(settings):
        say(note)
    return metadata.decided(settings)


def _say_who_is_elsewhere(settings: Settings, say: Say) -> None:
    """Their hosts may start after this one, so that nothing waits for them."""
    for neighbour, verdict in health.check_elsewhere(neighbours(settings)).items():
        answer = "answers" if verdict.ok else f"does not answer yet: {verdict.reason}"
        say(f"  {neighbour.service:<24} elsewhere, {answer}   {neighbour.url}")


def _say_that_it_runs(settings: Settings, requested: Settings, say: Say) -> None:
    say("The platform is already up.")
    ports = ("airflow_port", "mlflow_port", "serving_port", "grpc_port", "evidently_port")
    if any(getattr(settings, port) != getattr(requested, port) for port in ports):
        say("It keeps the ports it was started with; `make down` first to change them.")
    if requested.airflow_database not in (None, settings.airflow_database):
        say("It keeps the database it was started with; `make down` first to change it.")
    if requested.services != settings.services:
        say(f"It keeps {VARIABLE}={settings.services}; `make down` first to change it.")


def _start(settings: Settings, say: Say) -> None:
    started = time.monotonic()
    ended = end_leftovers(find_leftovers(settings))
    if ended:
        say(f"Ended {ended} processes that an earlier platform had left behind.")
    if "airflow" in settings.runs:
        require_executor(settings)
    if "mlflow" in settings.runs:
        require_sign_in(settings)
    pods_of(settings)  # a file of pods that is wrong is refused before anything starts
    require_disk(settings)
    require_object_storage(settings)
    processes = platform_processes(settings)
    require_ports(settings, processes)
    if "airflow" in settings.runs and metadata.kind_of(settings) == "embedded":
        postgres.ensure_cluster(settings)
    state = PlatformState(
        platform_id=secrets.token_hex(8),
        started_at=time.time(),
        boot_time=psutil.boot_time(),
        host=settings.host,
        airflow_port=settings.airflow_port,
        mlflow_port=settings.mlflow_port,
        serving_port=settings.serving_port,
        grpc_port=settings.grpc_port,
        evidently_port=settings.evidently_port,
        airflow_database=settings.airflow_database or metadata.kind_of(settings),
        services=settings.services,
        elsewhere={
            field: getattr(settings, field)
            for name, field in ADDRESSES.items()
            if name not in settings.runs
        },
    )
    supervision.pid_file(settings).unlink(missing_ok=True)
    write_state(settings, state)
    environment = process_environment(
        {**common_environment(settings), PLATFORM_TAG: state.platform_id}
    )
    try:
        supervision.start_daemon(settings, processes, environment)
        _start_in_order(settings, started, say)
    except PlatformError:
        _stop(settings)
        raise


def _start_in_order(settings: Settings, started: float, say: Say) -> None:
    """Start whatever does not run: the database, what the others need, then what runs tasks, each
    when those before it are well. An earlier start may have been ended at any point of it.
    """
    processes = platform_processes(settings)
    stores = [process for process in processes if process.holds_data]
    work = [process for process in processes if process.runs_work]
    needed = [process for process in processes if not (process.holds_data or process.runs_work)]
    for group in (stores, needed, work):
        supervision.start(settings, group)
        _wait_until_well(settings, UP_SECONDS, started, say, group)
        if group is stores and (databases := migrations_of(settings)):
            migrate(settings, databases)
            say(f"  databases{'':<15} ready after {time.monotonic() - started:5.0f} s")


def _wait_until_well(
    settings: Settings,
    limit: float,
    started: float,
    say: Say,
    processes: Sequence[Process],
) -> None:
    """Say a line per process as it becomes well; raise when one cannot, or when `limit` seconds are
    over.
    """
    waiting = {process.name: process for process in processes}
    pids: dict[str, set[int]] = {process.name: set() for process in processes}
    deadline = time.monotonic() + limit
    while True:
        states = supervision.process_states(settings)
        verdicts = health.check(processes, states)
        for name in [name for name in waiting if verdicts[name].ok]:
            process = waiting.pop(name)
            say(
                f"  {name:<24} healthy after {time.monotonic() - started:3.0f} s  "
                f" {process.address}".rstrip()
            )
        if not waiting:
            return
        for name, process in waiting.items():
            pids[name].add(states[name].pid)
            if states[name].state == supervision.GIVEN_UP or len(pids[name] - {0}) > MOST_STARTS:
                raise PlatformError(
                    _failure(process, f"keeps stopping ({states[name].message or 'see its log'})")
                )
        if time.monotonic() > deadline:
            name, process = next(iter(waiting.items()))
            raise PlatformError(
                _failure(process, f"is not healthy after {limit:.0f} s ({verdicts[name].reason})")
            )
        time.sleep(POLL_SECONDS)


def _failure(process: Process, what: str) -> str:
    lines = (
        process.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        if process.log.exists()
        else []
    )
    quoted = "\n".join(f"    {line}" for line in lines) or "    (empty)"
    return f"{process.name} {what}. The last lines of {process.log}:\n{quoted}"


def down() -> None:
    """Stop everything; nothing of the platform lives on.

    Raises `PlatformError` if something does.
    """
    settings = running_settings()
    if not supervision.is_running(settings) and not find_leftovers(settings):
        _forget(settings)
        print("The platform is not running.")
        return
    begin = time.monotonic()
    tasks, ended = _stop(settings)
    late = f" ({ended} of them only when asked a second time)" if ended else ""
    print(
        f"The platform is down after {time.monotonic() - begin:.0f} s; none of its processes is"
        f" left{late}."
    )
    if tasks:
        print(f"{tasks} tasks that did not end when asked were killed; `make up` tries them again.")


def _stop(settings: Settings) -> tuple[int, int]:
    """Stop the daemon and end what outlives it; return how many tasks were killed and how many
    processes had to be ended.
    """
    # Taken before the stop: a grandchild whose parents have gone can no longer be found by its
    # family.
    before = find_leftovers(settings)
    tasks = 0
    if supervision.is_running(settings):
        with suppress(PlatformError):
            tasks = supervision.stop_daemon(settings, platform_processes(settings))
    psutil.wait_procs(before, timeout=2)
    remaining = {process.pid: process for process in [*before, *find_leftovers(settings)]}
    ended = end_leftovers(list(remaining.values()))
    _forget(settings)
    return tasks, ended


def _forget(settings: Settings) -> None:
    for path in (
        state_path(settings),
        supervision.pid_file(settings),
        supervision.socket_path(settings),
    ):
        path.unlink(missing_ok=True)
    if metadata.kind_of(settings) == "embedded":
        postgres.remove_sockets(settings)
    remove_short_socket_folder(settings)


def status() -> bool:
    """Print a line per process; return whether all are well."""
    settings = running_settings()
    if not supervision.is_running(settings):
        leftovers = find_leftovers(settings)
        hint = (
            f" {len(leftovers)} of its processes still live without their supervisor: `make up` or"
            " `make down` ends them."
            if leftovers
            else ""
        )
        print(f"The platform is not running; `make up` starts it.{hint}")
        return False
    processes = platform_processes(settings)
    states = supervision.process_states(settings)
    verdicts = health.check(processes, states)
    elsewhere = health.check_elsewhere(neighbours(settings))
    _print_table(processes, states, verdicts, elsewhere)
    for neighbour, verdict in elsewhere.items():
        if not verdict.ok:
            print(f"{neighbour.service}, which runs elsewhere, is not healthy: {verdict.reason}.")
    for name, verdict in verdicts.items():
        if not verdict.ok:
            print(
                f"{name} is not healthy: {verdict.reason}; `make logs NAME={name}` shows its log."
            )
    state = read_state(settings)
    if state is not None:
        print(f"\nUp since {datetime.fromtimestamp(state.started_at, UTC):%Y-%m-%dT%H:%M:%SZ}")
    print("", *address_lines(settings), sep="\n")
    needed = [verdict for neighbour, verdict in elsewhere.items() if neighbour.needed]
    return all(verdict.ok for verdict in (*verdicts.values(), *needed))


def _print_table(
    processes: tuple[Process, ...],
    states: Mapping[str, supervision.ProcessState],
    verdicts: Mapping[str, health.Health],
    elsewhere: Mapping[Neighbour, health.Health],
) -> None:
    rows = [("PROCESS", "STATE", "PID", "SINCE", "ADDRESS", "HEALTHY")]
    for process in processes:
        state, verdict = states[process.name], verdicts[process.name]
        rows.append(
            (
                process.name,
                state.state.lower(),
                str(state.pid or "-"),
                _since(state.since),
                process.address or "-",
                "yes" if verdict.ok else "no",
            )
        )
    rows += [
        (one.service, "elsewhere", "-", "-", one.url, "yes" if verdict.ok else "no")
        for one, verdict in elsewhere.items()
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _since(moment: datetime | None) -> str:
    if moment is None:
        return "-"
    age = int((datetime.now(UTC) - moment).total_seconds())
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if age >= 2 * seconds or (age >= seconds and unit == "min"):
            return f"{age // seconds} {unit}"
    return f"{age} s"


def address_lines(settings: Settings) -> list[str]:
    """Where everything of this host is, and how to sign in."""
    runs, lines = settings.runs, []
    if "airflow" in runs:
        lines.append(f"Airflow   {settings.airflow_page}   sign in as {_users(settings)}")
    if "mlflow" in runs:
        asks = settings.mlflow_access == "accounts"
        how = "   sign in as a user of Airflow" if asks else ""
        lines.append(f"MLflow    {settings.mlflow_page}{how}")
    if "serving" in runs:
        lines.append(
            f"Endpoint  {settings.serving_page}   its routes at {settings.serving_page}/docs"
        )
        lines.append(
            f"gRPC      {settings.host}:{settings.grpc_port}   Open Inference Protocol"
            if settings.grpc_port
            else "gRPC      off"
        )
    if "evidently" in runs:
        lines.append(f"Evidently {_evidently_page(settings)}")
    return [*lines, f"Logs      {log_dir(settings)}"]


def _users(settings: Settings) -> str:
    of_airflow = settings.accounts
    return ", ".join(
        f"{user} / {password}"
        for user, password in sorted(passwords(settings).items())
        if user in of_airflow
    )


def _evidently_page(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.evidently_port}   reports; it knows no accounts"
