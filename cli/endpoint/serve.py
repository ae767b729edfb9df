"""The command `serve`: the endpoint under uvicorn, in the foreground."""

from __future__ import annotations

import os
import shutil
import socket
from typing import Annotated

import typer

from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings, load_settings

BACKLOG = 1024
KEEP_ALIVE_SECONDS = 75
STOP_SECONDS = 30
HANGING_SECONDS = 20
"""A worker whose interpreter has not run for so long is killed and started anew."""


def serve_command(
    host: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The address to listen on; default: FLIGHTDECK_HOST."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Default: FLIGHTDECK_SERVING_PORT.", min=1, max=65535),
    ] = None,
) -> None:
    """Run the prediction endpoint.

    SIGTERM finishes what was begun; SIGHUP replaces the workers one by one.
    """
    settings = load_settings()
    address, number = host or settings.host, port or settings.serving_port
    os.chdir(PROJECT_ROOT)
    check_port(address, number)
    prepare_metrics(settings, number)
    serve(settings, address, number)


def check_port(host: str, port: int) -> None:
    """Raise `PlatformError` when somebody listens there, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PlatformError(
                f"The endpoint cannot listen on {host}:{port}: {error.strerror}. Choose another"
                " with --port."
            ) from error


def prepare_metrics(settings: Settings, port: int) -> None:
    """Several processes share their numbers in a folder, which must not hold those of an earlier
    start; one keeps them in memory.
    """
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    if settings.serving_workers == 1:
        return
    folder = settings.serving_dir / "metrics" / str(port)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def serve(
    settings: Settings, host: str, port: int, application: str = "serving.asgi:application"
) -> None:
    """Run the supervisor and its workers until SIGTERM.

    SIGHUP replaces them one by one, each new one before its old one.
    """
    from uvicorn import Config

    from serving.http.protocol import BoundedHttpProtocol
    from serving.supervisor import Supervisor

    config = Config(
        application,
        host=host,
        port=port,
        workers=settings.serving_workers,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        backlog=BACKLOG,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_worker_healthcheck=HANGING_SECONDS,
    )
    # With one worker, too: it is the supervisor that starts a worker anew.
    Supervisor(config, sockets=[config.bind_socket()]).run()
