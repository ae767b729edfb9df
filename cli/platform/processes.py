"""The processes of the platform: what is started, in which order, and how the health of each is
seen.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from cli.platform.environment import (
    airflow_environment,
    common_environment,
    mlflow_environment,
    mlflow_file,
)
from cli.platform.folders import log_dir
from cli.platform.metadata import client_options, data_folder, kind_of
from cli.platform.postgres import LOG, server_command, server_environment
from cli.workers.celery_workers import node_name, worker_command
from include.settings import PROJECT_ROOT, Settings
from include.settings.environments import Service

AirflowComponent = Literal["scheduler", "dag_processor", "triggerer"]
SECRET_BYTES = 16
AIRFLOW = ("api-server", "scheduler", "dag-processor", "triggerer")
HEALTH_PATHS: Mapping[Service, str] = MappingProxyType(
    {"airflow": "/api/v2/monitor/health", "mlflow": "/health", "serving": "/healthz"}
)
"""Where each service says how it is, below its address."""
SHIP_SECONDS = 10


@dataclass(frozen=True)
class Process:
    """One supervised process.

    `more_ports` are the variables and numbers of ports beside the first. `health_url` must answer
    200; a database has none, and must let in a client with the options `database`; what has neither
    is well while it runs. It runs in
    `directory`; MLflow in that of its database, whose name then holds nothing that means something
    in a URL. A process with a `component` has no address of its own: it is well when the
    component's heartbeat, as Airflow reports it under `health_url`, is younger than the process; a
    worker is asked by its name, `node`, through its broker.
    One that `runs_work` starts tasks, which need the others: it is started when those are well, and
    stopped before them. One that `holds_data` of others is started before all of them, and stopped
    after them. A signal goes to its whole family, unless it tells its children itself.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(repr=False)
    priority: int
    log: Path
    health_url: str = ""
    database: Mapping[str, str] = field(default_factory=dict, repr=False)
    port: int | None = None
    port_variable: str = ""
    more_ports: tuple[tuple[str, int], ...] = ()
    address: str = ""
    component: AirflowComponent | None = None
    node: str = ""
    runs_work: bool = False
    holds_data: bool = False
    stop_signal: str = "TERM"
    stops_family: bool = True
    directory: Path = PROJECT_ROOT


def platform_processes(settings: Settings) -> tuple[Process, ...]:
    """The processes of the services of this host in the order in which they are started."""
    runs = settings.runs
    processes: list[Process] = []
    if "airflow" in runs and kind_of(settings) == "embedded":
        processes.append(_database(settings))
    if "mlflow" in runs:
        processes.append(_mlflow(settings))
    if "airflow" in runs:
        processes += _airflow(settings)
        if settings.executor == "celery":
            processes.append(_worker(settings, node_name(settings)))
    if "serving" in runs:
        processes.append(_serving(settings))
        if "airflow" not in runs:
            processes.append(_shipper(settings))
    if "evidently" in runs:
        processes.append(_evidently(settings))
    return tuple(processes)


def service_of(name: str) -> Service:
    """The service that a process of `component_names` belongs to."""
    return "mlflow" if name == "mlflow" else "serving" if name == "serving" else "airflow"


def component_names() -> tuple[str, ...]:
    """The processes that can run by themselves, each in a container of its own."""
    return ("mlflow", "serving", *(f"airflow-{name}" for name in (*AIRFLOW, "worker")))


def component(settings: Settings, name: str) -> Process:
    """One process of `component_names`; nothing is made up for the others, as Airflow's secrets."""
    if name == "mlflow":
        return _mlflow(settings)
    if name == "serving":
        return _serving(settings)
    if name == "airflow-worker":
        # More than one may run on a host, each a container or not.
        return _worker(settings, f"worker-{os.getpid()}@{socket.gethostname()}")
    return next(process for process in _airflow(settings) if process.name == name)


def _database(settings: Settings) -> Process:
    return Process(
        name="airflow-database",
        command=server_command(settings),
        environment=server_environment(settings),
        directory=data_folder(settings),
        priority=50,
        log=log_dir(settings) / LOG,
        database=client_options(settings),
        holds_data=True,
        # Its word for: end all sessions and stop. After SIGTERM it would wait for its clients.
        stop_signal="INT",
    )


def _mlflow(settings: Settings) -> Process:
    host, port = settings.host, settings.mlflow_port
    signs_in = settings.mlflow_access == "accounts"
    server = ("include.registry.server",) if signs_in else ("mlflow", "server")
    where = ("--host", host, "--port", str(port))
    return Process(
        name="mlflow",
        command=(sys.executable, "-m", *server, *where, "--workers", "1", "--serve-artifacts"),
        environment=mlflow_environment(settings),
        directory=mlflow_file(settings).parent,
        priority=100,
        log=log_dir(settings) / "mlflow.log",
        health_url=f"http://{host}:{port}{HEALTH_PATHS['mlflow']}",
        port=port,
        port_variable="MLFLOW_PORT",
        address=f"http://{host}:{port}",
    )


def _airflow(settings: Settings) -> tuple[Process, ...]:
    environment = airflow_environment(settings)
    health_url = f"{settings.airflow_url}{HEALTH_PATHS['airflow']}"
    airflow = (sys.executable, "-m", "airflow")
    logs = log_dir(settings)
    api_server = Process(
        name="airflow-api-server",
        command=(
            *airflow,
            "api-server",
            "--host",
            settings.host,
            "--port",
            str(settings.airflow_port),
            "--workers",
            "1",
        ),
        environment=environment,
        priority=200,
        log=logs / "airflow-api-server.log",
        health_url=health_url,
        port=settings.airflow_port,
        port_variable="AIRFLOW_PORT",
        address=settings.airflow_url,
    )
    # The log servers of scheduler and triggerer would listen on all interfaces; the api-server
    # reads the files itself.
    parts: tuple[tuple[AirflowComponent, tuple[str, ...]], ...] = (
        ("scheduler", ("scheduler", "--skip-serve-logs")),
        ("dag_processor", ("dag-processor",)),
        ("triggerer", ("triggerer", "--skip-serve-logs")),
    )
    return (
        api_server,
        *(
            Process(
                name=f"airflow-{arguments[0]}",
                command=(*airflow, *arguments),
                environment=environment,
                priority=300 + position,
                log=logs / f"airflow-{arguments[0]}.log",
                health_url=health_url,
                component=component,
                runs_work=True,
            )
            for position, (component, arguments) in enumerate(parts)
        ),
    )


def _worker(settings: Settings, node: str) -> Process:
    return Process(
        name="airflow-worker",
        command=worker_command(node),
        environment=airflow_environment(settings),
        priority=350,
        log=log_dir(settings) / "airflow-worker.log",
        node=node,
        runs_work=True,
        # It ends when its tasks have; they would die of the signal in the middle.
        stops_family=False,
    )


def _serving(settings: Settings) -> Process:
    host, port = settings.host, settings.serving_port
    return Process(
        name="serving",
        command=(sys.executable, "-m", "cli", "serve", "--host", host, "--port", str(port)),
        environment=common_environment(settings),
        priority=400,
        log=log_dir(settings) / "serving.log",
        health_url=f"{settings.serving_url}{HEALTH_PATHS['serving']}",
        port=port,
        port_variable="SERVING_PORT",
        more_ports=(("GRPC_PORT", settings.grpc_port),) if settings.grpc_port else (),
        address=settings.serving_url,
    )


def _shipper(settings: Settings) -> Process:
    """Where monitoring runs on another host, nobody else can read what the endpoint logs here."""
    return Process(
        name="ship",
        command=(sys.executable, "-m", "cli", "ship", "--every", str(SHIP_SECONDS)),
        environment=common_environment(settings),
        priority=420,
        log=log_dir(settings) / "ship.log",
    )


def _evidently(settings: Settings) -> Process:
    address = f"http://{settings.host}:{settings.evidently_port}"
    return Process(
        name="evidently",
        command=(
            *(sys.executable, "-m", "evidently.cli", "ui"),
            *("--host", settings.host, "--port", str(settings.evidently_port)),
            *("--workspace", str(settings.evidently_dir)),
        ),
        # Without the secret, which nobody has, it takes no changes: monitoring writes files.
        environment={
            **common_environment(settings),
            "EVIDENTLY_SECRET": secrets.token_hex(SECRET_BYTES),
        },
        priority=450,
        log=log_dir(settings) / "evidently.log",
        health_url=f"{address}/api/version",
        port=settings.evidently_port,
        port_variable="EVIDENTLY_PORT",
        address=address,
    )
