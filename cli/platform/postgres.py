"""The PostgreSQL that holds Airflow's metadata: its files, its command line, whether it answers.

It listens on a socket in a folder that only the home's owner can enter, and on no port. What it
has confirmed is on the disk: it survives kill -9 and a power cut.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import psutil

from cli.platform.folders import log_dir, make_socket_folder, socket_folder
from cli.platform.metadata import PORT, ROLE, client_options, data_folder, password
from cli.platform.postgres_programs import DISTRIBUTION, binaries, obstacle
from cli.platform.unprivileged import as_ordinary_user
from include import files
from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings

ANSWER_SECONDS = 2
START_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
STILL_IN_USE = "is still in use"
"""What the server says of memory that belongs to its data folder."""
LOG = "airflow-database.log"

# Small, since the data are: four processes of Airflow, some megabytes, one core of two.
OPTIONS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "150",
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "io_method": "sync",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # The platform puts a time before every line.
    "log_line_prefix": "[%p] ",
}
SHAPE = ("-U", ROLE, "-A", "scram-sha-256", "--pwfile=/dev/stdin", "-E", "UTF8", "--locale=C")


def server_command(settings: Settings) -> tuple[str, ...]:
    """The command line of the server, which runs in its data folder.

    Nothing of the home's path stands in it: that may hold signs which mean something to whoever
    reads a command line.
    """
    sockets = socket_folder(settings)
    if sockets.is_relative_to(settings.home):
        sockets = Path(os.path.relpath(sockets, data_folder(settings)))
    options = {**OPTIONS, "unix_socket_directories": str(sockets)}
    return (
        *as_ordinary_user(),
        program("postgres"),
        *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
    )


def server_environment(settings: Settings) -> dict[str, str]:
    """The variables of the server; what comes before PostgreSQL in its command is of this
    project.
    """
    return {"PGDATA": str(data_folder(settings)), "PYTHONPATH": str(PROJECT_ROOT)}


def ensure_cluster(settings: Settings) -> None:
    """Make the server's files where there are none, and what a dead server left no obstacle.

    No server of this home may be running, and nobody else may do this at the same time. Raises
    `PlatformError` when the files are of another major version or another server has them.
    """
    folder = data_folder(settings)
    if folder.exists():
        _require_version(folder)
        _remove_locks_of_the_dead(settings)
        return
    # A stamp of files that somebody has removed since.
    folder.with_suffix(".migrated").unlink(missing_ok=True)
    aside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    done = subprocess.run(
        [*as_ordinary_user(), program("initdb"), "-D", str(aside), *SHAPE],
        input=f"{password(settings)}\n",
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise PlatformError(f"the database of Airflow could not be made in {folder}: {reason}")
    aside.rename(folder)
    files.sync(folder.parent)


def refusal(options: Mapping[str, str]) -> str:
    """Why the server does not let in a client with these options; empty where it does."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    try:
        psycopg.connect(make_conninfo(**options, connect_timeout=ANSWER_SECONDS)).close()
    except psycopg.OperationalError as error:
        return str(error).strip().splitlines()[0]
    return ""


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Let the server run as a child of this process, for a command without the platform.

    Raises `PlatformError` with the end of its log when it does not start.
    """
    ensure_cluster(settings)
    make_socket_folder(settings)
    log = log_dir(settings) / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + START_SECONDS
    process, before = _launched(settings, log)
    try:
        while not _answers(settings, process, deadline):
            lines = log.read_text(errors="replace")[before:].strip().splitlines() or ["no output"]
            # Of a server that was killed its children live on for a moment.
            if not any(STILL_IN_USE in line for line in lines) or time.monotonic() > deadline:
                raise PlatformError(
                    f"the database of Airflow did not start: {lines[-1]} (log: {log})"
                )
            time.sleep(POLL_SECONDS)
            process, before = _launched(settings, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _launched(settings: Settings, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The server's process, and how many characters its log had before."""
    before = len(log.read_text(errors="replace")) if log.exists() else 0
    with log.open("ab") as output:
        # A session of its own: Ctrl-C is for the command, which still needs the database to end.
        process = subprocess.Popen(
            server_command(settings),
            cwd=data_folder(settings),
            env={**os.environ, **server_environment(settings)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    return process, before


def remove_sockets(settings: Settings) -> None:
    """Remove what a server that was killed left in the folder of sockets; none may be running."""
    for path in _socket_files(settings):
        path.unlink(missing_ok=True)


def _answers(settings: Settings, process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait until the server lets a client in; False where it has ended, or the time is up."""
    while refusal(client_options(settings)):
        if process.poll() is not None or time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def program(name: str) -> str:
    """Where one of PostgreSQL's programs lies. Raises `PlatformError` where there is none."""
    folder = binaries()
    if folder is None:
        raise PlatformError(f"PostgreSQL cannot be started: {obstacle()}.")
    return str(folder / name)


def _require_version(folder: Path) -> None:
    installed = version(DISTRIBUTION)
    written, present = (folder / "PG_VERSION").read_text().strip(), installed.partition(".")[0]
    if written != present:
        raise PlatformError(
            f"{folder} was written by PostgreSQL {written}, and {DISTRIBUTION} {installed} brings"
            f" PostgreSQL {present}: install {DISTRIBUTION} {written}, or move the data by pg_dump"
            f" of {written} and psql of {present}, or remove the folder to begin with no history."
        )


def _remove_locks_of_the_dead(settings: Settings) -> None:
    """Remove the lock of a server that was killed: after a restart of the machine its number may
    be another process's, and PostgreSQL would then take that for itself.

    Raises `PlatformError` where a server has the files.
    """
    lock = data_folder(settings) / "postmaster.pid"
    with suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        process = psutil.Process(int(lock.read_text().splitlines()[0]))
        if process.name() == "postgres" and Path(process.cwd()) == data_folder(settings):
            raise PlatformError(
                f"a PostgreSQL server (process {process.pid}) has {data_folder(settings)} already;"
                " end it, or the command that started it."
            )
    lock.unlink(missing_ok=True)
    remove_sockets(settings)


def _socket_files(settings: Settings) -> tuple[Path, Path]:
    name = f".s.PGSQL.{PORT}"
    return socket_folder(settings) / name, socket_folder(settings) / f"{name}.lock"
