"""`make bench-serving`: the endpoint beside what serves the same model otherwise, in one
interleaved run on one machine.

Every server gets its turn in every round: sixteen connections that each ask as soon as they were
answered, one such connection, and a fixed rate whose latency counts from the intended start.
Numbers are medians over the rounds; only ratios within one run mean anything.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.platform.environment import common_environment, process_environment
from include.errors import PlatformError
from include.release.followers import wait_until_followed
from include.settings import PROJECT_ROOT, load_settings
from proofs.bench.batch.main import measure_batch
from proofs.bench.rows import show, write
from proofs.bench.serving.aims import BARE, BENTOML, OURS, QUIET, SECOND, aims, of_routing
from proofs.bench.serving.measurements import ServerFigures
from proofs.bench.serving.report import print_parts, print_servers
from proofs.bench.serving.servers import (
    PEERS,
    Running,
    load,
    mlserver_python,
    running,
    servers,
    write_mlflow_model,
)
from proofs.bench.serving.stores import measure_stores, store_rows
from proofs.bench.serving.world import SHARE, World, build, give_shadow
from proofs.harness.home import home_settings

CONNECTIONS = 16
RATE = 150.0
SHADOW_SECONDS = 300.0
LIBRARIES = (
    "xgboost",
    "onnxruntime",
    "bentoml",
    "mlflow",
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "feast",
    "orjson",
)


@dataclass(frozen=True)
class Size:
    """Rounds, and seconds of each measurement."""

    rounds: int = 5
    closed: float = 2.5
    single: float = 1.5
    open: float = 1.5


QUICK = Size(rounds=1, closed=2.0, single=1.0, open=1.0)


def bench_serving(
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="One short round: it shows that the bench runs; its ratios mean little."
        ),
    ] = False,
    no_batch: Annotated[bool, typer.Option("--no-batch", help="Leave batch scoring out.")] = False,
) -> None:
    """Measure the endpoint beside what serves the same model otherwise.

    Takes about nine minutes and writes bench/serving.json in FLIGHTDECK_HOME.
    """
    folder = load_settings().home / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "serving-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    try:
        rows = measure(home, folder / "mlserver", QUICK if quick else Size())
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if not no_batch:
        rows += measure_batch(quick=quick)
    show(rows)
    path = folder / ("serving-quick.json" if quick else "serving.json")
    write(path, rows)
    print(f"Written to {path}")


def measure(home: Path, mlserver: Path, size: Size) -> list[dict[str, Any]]:
    """The rows of the table."""
    world = build(home_settings(home, SHARE))
    write_mlflow_model(world)
    print(
        f"{_versions()}; {world.trees} trees, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        " at the start",
        flush=True,
    )
    environment = {
        **process_environment(common_environment(world.settings)),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    parts = _in_process("inprocess", world, environment)
    routing = _in_process("routing", world, environment)
    stores = measure_stores(environment)
    figures = _serve(world, mlserver_python(mlserver), size)
    print_servers(figures, RATE)
    print_parts(parts)
    return aims(figures, parts) + of_routing(routing, figures) + store_rows(stores)


def _serve(world: World, mlserver: Path | str, size: Size) -> dict[str, ServerFigures]:
    figures: dict[str, ServerFigures] = {}
    with ExitStack() as stack:
        started = [
            stack.enter_context(running(server, world)) for server in servers(world, mlserver)
        ]
        for target in started:
            figures[target.server.name] = ServerFigures(missing=target.missing)
        if isinstance(mlserver, str):
            figures["MLServer"] = ServerFigures(missing=mlserver)
        up = [target for target in started if not target.missing]
        require_own(figures)
        for target in up:
            load(target, world, 4, 0.5)
        for number in range(size.rounds):
            print(f"  round {number + 1} of {size.rounds}", flush=True)
            for target in up:
                _round(target, world, size, figures[target.server.name])
        _shadowed(
            next(target for target in up if target.server.name == "ours"), world, size, figures
        )
    return figures


def require_own(figures: dict[str, ServerFigures]) -> None:
    """Raise `PlatformError` when a server that every ratio needs does not answer: before the load
    and not after it.
    """
    for name in (OURS, SECOND, QUIET, BENTOML, BARE):
        if figures[name].missing:
            raise PlatformError(f"the server {name!r} of this bench {figures[name].missing}")


def _shadowed(ours: Running, world: World, size: Size, figures: dict[str, ServerFigures]) -> None:
    """The same fixed rate before and after a shadow has been given to the champion."""
    loads = figures[ours.server.name].loads
    for kind in ("open, alone", "open, shadowed"):
        if kind == "open, shadowed":
            plan = give_shadow(world)
            wait_until_followed(world.settings, plan, seconds=SHADOW_SECONDS)
        loads[kind] = [
            load(ours, world, CONNECTIONS, size.open, rate=RATE, body="lookup")
            for _ in range(size.rounds)
        ]


def _round(target: Running, world: World, size: Size, figures: ServerFigures) -> None:
    def note(kind: str, turn: dict[str, float]) -> None:
        figures.loads.setdefault(kind, []).append(turn)

    note("closed", load(target, world, CONNECTIONS, size.closed))
    note("single", load(target, world, 1, size.single))
    note("open", load(target, world, CONNECTIONS, size.open, rate=RATE))
    if target.server.name == "ours":
        for kind, body, path in (
            ("lookup", "lookup", ""),
            ("many", "many", ""),
            ("explain", "features", "explain"),
        ):
            where = target.server.path.replace("predict", path) if path else ""
            connections = 1 if kind in ("explain", "many") else CONNECTIONS
            note(kind, load(target, world, connections, size.single, body=body, path=where))
            if kind == "lookup":
                note("lookup single", load(target, world, 1, size.single, body=body))


def _in_process(module: str, world: World, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", f"proofs.bench.serving.{module}", str(world.package)]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True
    )
    parts: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return parts


def _versions() -> str:
    lines = (PEERS / "mlserver.txt").read_text().splitlines()
    mlserver = next(line for line in lines if line.startswith("mlserver=="))
    return ", ".join(
        [*(f"{name} {version(name)}" for name in LIBRARIES), mlserver.replace("==", " ")]
    )
