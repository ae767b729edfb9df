"""`make bench-serving`: the endpoint beside what serves the same model otherwise, in one
interleaved run on one machine.

Every server gets its turn in every round: sixteen connections that each ask as soon as they were
answered, one such connection, and a fixed rate whose latency counts from the intended start.
Numbers are medians over the rounds; only ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cli.platform.environment import common_environment, process_environment
from include.settings import PROJECT_ROOT, load_settings
from proofs.bench.serving.report import aims, print_parts, print_servers, print_table
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
from proofs.bench.serving.world import SHARE, World, build
from proofs.harness.data import home_settings

CONNECTIONS = 16
RATE = 150.0
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


@dataclass
class Seen:
    """All measurements of one server, by kind of load."""

    loads: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    missing: str = ""

    def median(self, kind: str, what: str) -> float:
        """The median of one number over the rounds."""
        return float(statistics.median(load[what] for load in self.loads[kind]))


def main(arguments: Sequence[str]) -> int:
    """Measure, print, write `<home>/bench/serving.json`;

    0 when everything was measured that can run here.
    """
    parser = argparse.ArgumentParser(
        prog="flightdeck bench-serving", description="The endpoint against its peers."
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one short round: shows that it runs, the ratios mean little",
    )
    parser.add_argument("--no-batch", action="store_true", help="leave batch scoring out")
    options = parser.parse_args(arguments)
    folder = load_settings().home / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "serving-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    try:
        rows = measure(home, folder / "mlserver", QUICK if options.quick else Size())
    finally:
        shutil.rmtree(home, ignore_errors=True)
    if not options.no_batch:
        from proofs.bench.batch.main import run as batch

        rows += batch(options.quick)
    print_table(rows)
    path = folder / ("serving-quick.json" if options.quick else "serving.json")
    path.write_text(json.dumps(rows, indent=2) + "\n")
    print(f"Written to {path}")
    return 0


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
    parts = _in_process(world, environment)
    stores = measure_stores(environment)
    seen = _serve(world, mlserver_python(mlserver), size)
    print_servers(seen, RATE)
    print_parts(parts)
    return aims(seen, parts) + store_rows(stores)


def _serve(world: World, mlserver: Path | str, size: Size) -> dict[str, Seen]:
    seen: dict[str, Seen] = {}
    with ExitStack() as stack:
        started = [
            stack.enter_context(running(server, world)) for server in servers(world, mlserver)
        ]
        for target in started:
            seen[target.server.name] = Seen(missing=target.missing)
        if isinstance(mlserver, str):
            seen["MLServer"] = Seen(missing=mlserver)
        up = [target for target in started if not target.missing]
        for target in up:
            load(target, world, 4, 0.5)
        for number in range(size.rounds):
            print(f"  round {number + 1} of {size.rounds}", flush=True)
            for target in up:
                _round(target, world, size, seen[target.server.name])
    return seen


def _round(target: Running, world: World, size: Size, seen: Seen) -> None:
    def note(kind: str, figures: dict[str, float]) -> None:
        seen.loads.setdefault(kind, []).append(figures)

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


def _in_process(world: World, environment: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "proofs.bench.serving.inprocess", str(world.package)]
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
