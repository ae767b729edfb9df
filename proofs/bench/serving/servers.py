"""The servers that are measured: how each is started, which requests it gets, what it costs in
processor time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from cli.platform.environment import common_environment, process_environment
from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from proofs.bench.serving.world import World
from proofs.harness.ports import free_port

START_SECONDS = 60.0
STOP_SECONDS = 20.0
PEERS = PROJECT_ROOT / "proofs" / "bench" / "peers"
OURS = "/v1/models/flight_delays/predict"
UVICORN = (
    *("--interface", "asgi3", "--loop", "uvloop", "--http", "httptools", "--ws", "none"),
    *("--no-access-log", "--no-proxy-headers", "--log-level", "warning"),
)
PLAIN = ("bare", "fast_api")
Command = Callable[[int], Sequence[str]]


@dataclass(frozen=True)
class Server:
    """One way of serving the model. `command` takes a port; `body` names the kind of requests."""

    name: str
    command: Command
    path: str
    body: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A started server; `missing` says why there is none."""

    server: Server
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    missing: str = ""

    def cpu_seconds(self) -> float:
        """Processor time of its processes so far."""
        if self.process is None:
            return 0.0
        whole = psutil.Process(self.process.pid)
        times = [part.cpu_times() for part in (whole, *whole.children(recursive=True))]
        return float(sum(spent.user + spent.system for spent in times))


def servers(world: World, mlserver: Path | str) -> list[Server]:
    """All of them; `mlserver` is the Python of MLServer's environment, or why there is none."""
    available = [*_ours(world), *_peers(world)]
    if isinstance(mlserver, Path):
        available.append(
            Server(
                "MLServer",
                lambda port: _mlserver(mlserver, world.settings.home / "mlserver", world, port),
                "/v2/models/flights/infer",
                "mlserver",
                {"PYTHONPATH": str(PEERS)},
            )
        )
    return available


def _ours(world: World) -> list[Server]:
    """The endpoint as it is, with less recorded, and under BentoML's server."""
    each_second = {"FLIGHTDECK_SPEC_OVERLAY": str(write_overlay(world))}
    serve, quiet = _module("cli", "serve", "--port"), _module("proofs.bench.peers.quiet")
    bentoml = _bento("serving.service:FlightdeckService")
    return [
        Server("ours", serve, OURS, "features"),
        Server("ours, synced each second", serve, OURS, "features", each_second),
        Server("ours, nothing recorded", quiet, OURS, "features"),
        Server("ours under BentoML", bentoml, OURS, "features"),
    ]


def _peers(world: World) -> list[Server]:
    """What serves the same model otherwise."""
    model = {"BENCH_MODEL": str(world.model)}
    bare, fast_api = (_uvicorn(f"proofs.bench.peers.{name}:application") for name in PLAIN)
    bentoml = _bento("proofs.bench.peers.bento:Plain")
    folder = str(world.settings.home / "mlflow-model")
    mlflow = _module("mlflow", "models", "serve", "-m", folder, "--env-manager", "local", "-p")
    return [
        Server("bare ASGI, ONNX Runtime", bare, "/predict", "inputs", model),
        Server("FastAPI", fast_api, "/predict", "inputs", model),
        Server("plain BentoML", bentoml, "/predict", "inputs", model),
        Server("mlflow models serve", mlflow, "/invocations", "mlflow"),
    ]


def _module(*arguments: str) -> Command:
    """`python -m ...` with the port as its last argument."""
    return lambda port: (sys.executable, "-m", *arguments, str(port))


def _uvicorn(target: str) -> Command:
    return lambda port: (sys.executable, "-m", "uvicorn", *UVICORN, "--port", str(port), target)


def _bento(target: str) -> Command:
    return _module("bentoml", "serve", target, "--host", "127.0.0.1", "--port")


def write_overlay(world: World) -> Path:
    """The specification of an endpoint that syncs its log each second."""
    path = world.settings.home / "each-second.json"
    path.write_text(json.dumps({world.use_case.name: {"serving": {"log_sync": "second"}}}))
    return path


def _mlserver(python: Path, folder: Path, world: World, port: int) -> Sequence[str]:
    folder.mkdir(exist_ok=True)
    ports = {
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "host": "127.0.0.1",
        "parallel_workers": 0,
    }
    (folder / "settings.json").write_text(json.dumps({**ports, "debug": False}))
    model = {
        "name": "flights",
        "implementation": "mlserver_model.Served",
        "parameters": {"uri": str(world.model / "model.ubj")},
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    return (str(python.with_name("mlserver")), "start", str(folder))


def write_mlflow_model(world: World) -> None:
    """The folder that `mlflow models serve` serves."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    import mlflow

    mlflow.pyfunc.save_model(
        world.settings.home / "mlflow-model",
        python_model=str(PEERS / "mlflow_model.py"),
        artifacts={"booster": str(world.model / "model.ubj")},
        pip_requirements=["xgboost", "mlflow"],
    )


@contextmanager
def running(server: Server, world: World) -> Iterator[Running]:
    """Start a server and wait for its first right answer; end its whole process group
    afterwards.
    """
    port = free_port()
    environment = {
        **process_environment(common_environment(world.settings)),
        **server.environment,
        "OMP_NUM_THREADS": "1",
    }
    environment["FLIGHTDECK_SERVING_PORT"], environment["FLIGHTDECK_GRPC_PORT"] = str(port), "0"
    log = world.settings.home / f"{server.body}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            server.command(port),
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started = Running(server, port, process)
    try:
        started.missing = _wait(started, world.bodies[server.body], log)
        yield started
    finally:
        _end(process)


def _wait(started: Running, bodies: Path, log: Path) -> str:
    body, deadline, seen = bodies.read_bytes().splitlines()[0], time.monotonic() + START_SECONDS, ""
    with httpx.Client(timeout=5.0) as client:
        while time.monotonic() < deadline:
            try:
                answer = client.post(
                    f"http://127.0.0.1:{started.port}{started.server.path}",
                    content=body,
                    headers={"content-type": "application/json"},
                )
                seen = f"{answer.status_code} {answer.text[:200]}"
                if answer.status_code == 200:
                    return ""
            except httpx.HTTPError as error:
                seen = repr(error)
            if started.process is None or started.process.poll() is not None:
                break
            time.sleep(0.2)
    return f"did not start: {seen} {log.read_text(errors='replace')[-300:]}".replace("\n", " ")


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        whole = psutil.Process(process.pid)
        family = [*whole.children(recursive=True), whole]
    except psutil.NoSuchProcess:
        return
    process.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for left in alive:
        left.kill()
    process.wait()


def load(
    target: Running,
    world: World,
    connections: int,
    seconds: float,
    *,
    rate: float = 0.0,
    body: str = "",
    path: str = "",
) -> dict[str, float]:
    """One load from a process of its own; its numbers, and the server's processor microseconds an
    answer.
    """
    options = {
        "port": target.port,
        "path": path or target.server.path,
        "bodies": str(world.bodies[body or target.server.body]),
        "connections": connections,
        "seconds": seconds,
        "rate": rate,
    }
    before = target.cpu_seconds()
    done = subprocess.run(
        [sys.executable, "-m", "proofs.bench.serving.load", json.dumps(options)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PlatformError(f"The load on {target.server.name} failed: {done.stderr[-1500:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    figures["cpu"] = (target.cpu_seconds() - before) / max(1, figures["answers"]) * 1e6
    return figures


def mlserver_python(folder: Path) -> Path | str:
    """MLServer's own environment, made by uv from pinned versions where it is not there yet; its
    Python, or what went wrong.
    """
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and python.exists():
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    environment = {**os.environ, "VIRTUAL_ENV": str(folder)}
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--system-certs",
            "--compile-bytecode",
            "-r",
            str(PEERS / "mlserver.txt"),
        ],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"not installed: {done.stderr.strip()[-200:]}"
    ready.touch()
    return python
