"""The servers that a process needs while it runs outside the platform: started for it, on free
ports, and stopped behind it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import NoReturn

import httpx

from cli.platform import supervision
from cli.platform.environment import common_environment, mlflow_file, process_environment
from cli.platform.processes import Process, component
from include.errors import PlatformError
from include.settings import Settings
from include.tls import trusted

MLFLOW, SERVING = "mlflow", "serving"
START_SECONDS, STOP_SECONDS = 240.0, 40.0
POLL_SECONDS = 0.1
LOG_LINES = 8
TERMINATED = 143
NEEDED: dict[str, tuple[str, ...]] = {
    "features": (),
    "training": (MLFLOW,),
    "deployment": (MLFLOW, SERVING),
    "batch_scoring": (MLFLOW,),
    "monitoring": (MLFLOW,),
}
"""The servers that the steps of each process speak to."""


@contextmanager
def environment_of(settings: Settings) -> Iterator[None]:
    """Make this process one of the home for a while, as the platform's are: what a step loads or
    starts reads the same settings, and what is written is its owner's alone.
    """
    before, mask = dict(os.environ), os.umask(0o077)
    os.environ.update(common_environment(settings))
    try:
        yield
    finally:
        os.umask(mask)
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def servers_for(settings: Settings, process: str) -> Iterator[Settings]:
    """The settings with servers that answer: the running platform's or somebody else's where there
    are such, else servers of this home that live as long as the block.

    Raises `PlatformError` with the last lines of its log when one does not start.
    """
    names = [name for name in NEEDED[process] if _is_own(settings, name)]
    if not names or supervision.is_running(settings):
        yield settings
        return
    settings = on_free_ports(settings, names)
    if MLFLOW in names:
        # The server makes the database itself.
        mlflow_file(settings).parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(leaving_when_asked())
        for name in names:
            stack.callback(_stop, _start(component(settings, name)))
        yield settings


def _is_own(settings: Settings, name: str) -> bool:
    """Whether the settings mean the platform's own server, not a file or one somewhere else."""
    if name == MLFLOW:
        return settings.mlflow_tracking_uri == f"http://{settings.host}:{settings.mlflow_port}"
    return settings.serving_url == f"http://{settings.host}:{settings.serving_port}"


@contextmanager
def started(process: Process) -> Iterator[None]:
    """A server that is well, and lives as long as the block.

    Raises `PlatformError` with the last lines of its log when it does not start.
    """
    running = _start(process)
    try:
        yield
    finally:
        _stop(running)


def on_free_ports(settings: Settings, names: Sequence[str]) -> Settings:
    """The settings with these servers, and no others, on ports that are free now."""
    changes: dict[str, object] = {}
    for name, url in ((MLFLOW, "mlflow_tracking_uri"), (SERVING, "serving_url")):
        if name in names:
            port = _free_port(settings.host)
            changes |= {f"{name}_port": port, url: f"http://{settings.host}:{port}"}
    return settings.model_copy(update={**changes, "grpc_port": 0})


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _start(process: Process) -> subprocess.Popen[bytes]:
    """Start it and wait until it is well."""
    process.log.parent.mkdir(parents=True, exist_ok=True)
    with process.log.open("ab") as log:
        # In a session of its own: Ctrl-C is for this command, which then stops it.
        started = subprocess.Popen(
            process.command,
            cwd=process.directory,
            env=process_environment(process.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with ExitStack() as unless_well:
        unless_well.callback(_stop, started)
        deadline = time.monotonic() + START_SECONDS
        while not _is_well(process.health_url):
            if started.poll() is not None or time.monotonic() > deadline:
                raise PlatformError(_failure(process))
            time.sleep(POLL_SECONDS)
        unless_well.pop_all()
    return started


def _is_well(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5.0, verify=trusted()).is_success
    except httpx.HTTPError:
        return False


def _failure(process: Process) -> str:
    lines = process.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    quoted = "\n".join(f"    {line}" for line in lines)
    return f"{process.name} does not start. The last lines of {process.log}:\n{quoted}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def leaving_when_asked() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: what it started is stopped first."""

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
