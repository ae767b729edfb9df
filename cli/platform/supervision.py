"""supervisord, the parent of every process of the platform: its configuration, its start, and
talking to it.
"""

from __future__ import annotations

import http.client
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cli.platform import metadata, postgres
from cli.platform.folders import log_dir, make_socket_folder, socket_folder
from cli.platform.processes import Process
from cli.platform.stamped import stamped
from cli.platform.state import only_one, run_dir
from cli.platform.tasks import end_tasks
from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings

HOME_VARIABLE, PROJECT_VARIABLE = "SUPERVISED_HOME", "SUPERVISED_PROJECT"
STOP_SECONDS = 25
TASK_SECONDS = 10
"""How long a task may take to end by itself after SIGTERM; native code delays it."""
START_SECONDS = 20
UP, GIVEN_UP, STOPPING = "RUNNING", "FATAL", "STOPPING"
STOPPED = {GIVEN_UP, "EXITED", "STOPPED"}
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class ProcessState:
    """What supervisord knows of one process: its state's name, pid (0 = none) and start."""

    name: str
    state: str
    pid: int
    since: datetime | None
    message: str


def socket_path(settings: Settings) -> Path:
    """The daemon's control socket."""
    return socket_folder(settings) / "supervisor.sock"


def pid_file(settings: Settings) -> Path:
    """File with the daemon's pid, which is also the session id of everything it started."""
    return run_dir(settings) / "supervisord.pid"


def render_configuration(settings: Settings, processes: Iterable[Process]) -> str:
    """supervisord's configuration file.

    The folders of home and project stand in it as variables (`start_daemon` sets them):
    supervisord would take signs of a path for the beginning of a comment.
    """
    text = _configuration(settings, processes)
    for name, folder in folder_variables(settings).items():
        text = text.replace(folder.replace("%", "%%"), f"%(ENV_{name})s")
    return text


def folder_variables(settings: Settings) -> dict[str, str]:
    """Variables of the configuration with what they stand for, the longest first."""
    folders = {HOME_VARIABLE: str(settings.home), PROJECT_VARIABLE: str(PROJECT_ROOT)}
    return dict(sorted(folders.items(), key=lambda item: -len(item[1])))


def _configuration(settings: Settings, processes: Iterable[Process]) -> str:
    logs, run = log_dir(settings), run_dir(settings)
    sections = [
        _section("unix_http_server", {"file": socket_path(settings), "chmod": "0700"}),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        _section(
            "supervisord",
            {
                "logfile": logs / "supervisord.log",
                "logfile_maxbytes": "5MB",
                "logfile_backups": 2,
                "pidfile": run / "supervisord.pid",
                "childlogdir": logs,
                "directory": PROJECT_ROOT,
                # Whatever a process writes below the home is its owner's alone.
                "umask": "077",
            },
        ),
    ]
    return "\n".join([*sections, *(_program(process, settings) for process in processes)])


def _program(process: Process, settings: Settings) -> str:
    # supervisor expands this option twice, unlike the others.
    log = str(process.log).replace(str(settings.home), f"%(ENV_{HOME_VARIABLE})s")
    return _section(
        f"program:{process.name}",
        {
            "command": shlex.join(stamped(process.command)),
            "directory": process.directory,
            "environment": ",".join(
                f"{name}={_quoted(name, value)}"
                for name, value in sorted(process.environment.items())
            ),
            "priority": process.priority,
            # `start` starts each when what it needs is well.
            "autostart": "false",
            "autorestart": "true",
            # Everything else waits for what holds its data, and that answers at once.
            "startsecs": 1 if process.holds_data else 3,
            "startretries": 2,
            "stopsignal": process.stop_signal,
            "stopwaitsecs": STOP_SECONDS + (TASK_SECONDS if process.runs_work else 0),
            # Signals go to the whole process group, so that a server does not leave its workers
            # behind.
            "stopasgroup": "true" if process.stops_family else "false",
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": log,
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 3,
        },
    )


def _section(title: str, options: Mapping[str, Any]) -> str:
    lines = (f"{name}={str(value).replace('%', '%%')}" for name, value in options.items())
    return f"[{title}]\n" + "\n".join(lines) + "\n"


def _quoted(name: str, value: str) -> str:
    quote = "'" if '"' in value else '"'
    if quote in value or "\n" in value:
        raise PlatformError(
            f"{name} holds both kinds of quotes or a line break, which supervisord's configuration"
            " cannot carry; write it otherwise, in an address one of them as %22 or %27."
        )
    return f"{quote}{value}{quote}"


def start_daemon(
    settings: Settings, processes: Iterable[Process], environment: Mapping[str, str]
) -> None:
    """Write the configuration, start supervisord as a daemon and wait until it answers."""
    configuration = run_dir(settings) / "supervisord.conf"
    for folder in (run_dir(settings), log_dir(settings)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    make_socket_folder(settings)
    configuration.touch(mode=0o600)
    configuration.chmod(0o600)
    configuration.write_text(render_configuration(settings, processes))
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
    result = subprocess.run(
        command,
        env={**environment, **folder_variables(settings)},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    deadline = time.monotonic() + START_SECONDS
    while result.returncode == 0 and time.monotonic() < deadline:
        if is_running(settings):
            return
        time.sleep(0.05)
    reason = (result.stderr or result.stdout).strip().splitlines()
    raise PlatformError(
        f"supervisord did not start: {reason[-1] if reason else 'no answer'}; its log is"
        f" {log_dir(settings) / 'supervisord.log'}."
    )


@contextmanager
def _connection(settings: Settings) -> Iterator[Any]:
    # Images whose processes somebody else starts have no supervisor.
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{socket_path(settings)}")
    proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport)
    try:
        yield proxy.supervisor
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise PlatformError(
            f"supervisord does not answer on {socket_path(settings)}: {error}."
        ) from error
    finally:
        transport.close()


def is_running(settings: Settings) -> bool:
    """Whether a supervisord of this home answers."""
    if not socket_path(settings).exists():
        return False
    try:
        with _connection(settings) as supervisor:
            return str(supervisor.getState()["statename"]) == "RUNNING"
    except PlatformError:
        return False


def process_states(settings: Settings) -> dict[str, ProcessState]:
    """State of every process by name. Raises `PlatformError` when supervisord does not answer."""
    with _connection(settings) as supervisor:
        return {str(info["name"]): _process_state(info) for info in supervisor.getAllProcessInfo()}


def _process_state(info: Mapping[str, Any]) -> ProcessState:
    alive = int(info["pid"]) > 0
    return ProcessState(
        name=str(info["name"]),
        state=str(info["statename"]),
        pid=int(info["pid"]),
        since=datetime.fromtimestamp(int(info["start"]), UTC) if alive else None,
        message=str(info["spawnerr"]),
    )


def start(settings: Settings, processes: Iterable[Process]) -> None:
    """Start those that do not run, given up ones too; to be called when what they need is well."""
    states = process_states(settings)
    with _connection(settings) as supervisor:
        for process in processes:
            if states[process.name].state in STOPPED:
                supervisor.startProcess(process.name, False)


def stop_daemon(settings: Settings, processes: Iterable[Process]) -> int:
    """Stop what runs tasks, so that the end of a task can still be reported and it is tried again
    after the next start; then every other process at once, but what holds their data after them,
    and then supervisord.

    Returns how many tasks had to be killed.
    """
    processes, ended = tuple(processes), set[int]()
    with _connection(settings) as supervisor:
        for process in processes:
            if process.runs_work:
                with suppress(xmlrpc.client.Fault):  # it does not run
                    ended |= _stop_work(supervisor, process.name)
        _stop_together(supervisor, [one.name for one in processes if not one.holds_data])
        supervisor.stopAllProcesses()
        supervisor.shutdown()
    deadline = time.monotonic() + STOP_SECONDS
    while socket_path(settings).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return len(ended)


def _stop_work(supervisor: Any, name: str) -> set[int]:
    """Stop a process that waits for its tasks: those that run after `TASK_SECONDS` are killed, and
    their pids returned.
    """
    pid, ended = int(supervisor.getProcessInfo(name)["pid"]), set[int]()
    supervisor.stopProcess(name, False)
    deadline = time.monotonic() + TASK_SECONDS
    while supervisor.getProcessInfo(name)["statename"] == STOPPING:
        if time.monotonic() >= deadline:
            ended |= end_tasks(pid)
        time.sleep(POLL_SECONDS)
    return ended


def _stop_together(supervisor: Any, names: Iterable[str]) -> None:
    """Stop processes at the same time and wait for their end, after which supervisord kills."""
    asked = []
    for name in names:
        with suppress(xmlrpc.client.Fault):  # it does not run
            supervisor.stopProcess(name, False)
            asked.append(name)
    while any(supervisor.getProcessInfo(name)["statename"] == STOPPING for name in asked):
        time.sleep(POLL_SECONDS)


def _serves_database(settings: Settings) -> bool:
    """Whether the platform of this home runs and has Airflow's database among its processes."""
    return "airflow" in settings.runs and is_running(settings)


@contextmanager
def database_at_hand(settings: Settings) -> Iterator[None]:
    """Let the platform's PostgreSQL run for one command, where it is the database and the platform
    does not run.
    """
    with ExitStack() as stack:
        if metadata.kind_of(settings) == "embedded" and not _serves_database(settings):
            stack.enter_context(only_one(settings, partial(print, file=sys.stderr)))
            # `up` may have started it while we waited.
            if not _serves_database(settings):
                stack.enter_context(postgres.running(settings))
        yield
