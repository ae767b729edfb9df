"""`python -m cli serve`: the endpoint under Granian, in the foreground; SIGTERM finishes what was begun."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
from collections.abc import Sequence
from typing import Any

from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings, load_settings

BACKLOG = 1024
KILL_SECONDS = 30


def main(arguments: Sequence[str]) -> int:
    """Serve until told to end."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m cli serve", description="The prediction endpoint under Granian.")
    parser.add_argument("--host", default=settings.host)
    parser.add_argument("--port", type=int, default=settings.serving_port)
    chosen = parser.parse_args(arguments)
    os.chdir(PROJECT_ROOT)
    check_port(chosen.host, chosen.port)
    prepare_metrics(settings, chosen.port)
    serve(settings, chosen.host, chosen.port)
    return 0


def check_port(host: str, port: int) -> None:
    """Raise `PlatformError` when somebody listens there: Granian's workers would share the port with another Granian without a word."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PlatformError(f"The endpoint cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.") from error


def prepare_metrics(settings: Settings, port: int) -> None:
    """Several processes share their numbers in a folder, which must not hold those of an earlier start; one keeps them in memory."""
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if settings.serving_workers == 1:
        return
    folder = settings.serving_dir / "metrics" / str(port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def serve(settings: Settings, host: str, port: int) -> None:
    """Run the server; it starts a worker anew that was killed."""
    from granian.constants import HTTPModes, Interfaces, Loops
    from granian.log import LogLevels

    persistent_server()(
        "serving.asgi:application",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        workers=settings.serving_workers,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=KILL_SECONDS,
    ).serve()


def persistent_server() -> Any:
    """Granian's server, but one that starts a worker anew however soon it died again.

    Granian takes a worker that dies within 5.5 s of its start for a crash loop and ends, the healthy workers with it. Whatever kills one
    worker must not end the endpoint: a model that would has been tried in a child process before, and a worker that cannot start at all
    shows in the platform's health check.
    """
    from granian import Granian

    class PersistentServer(Granian):  # type: ignore[misc]  # granian ships no types for it
        def _respawn_workers(self, *arguments: Any, **options: Any) -> None:
            super()._respawn_workers(*arguments, **options)
            self.respawned_wrks.clear()

    return PersistentServer
