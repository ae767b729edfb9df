"""`flightdeck faults serving`: what the endpoint bears, line by line, also in
`var/faults/serving.json`, and a failure when a line does not hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.platform.environment import process_environment
from include.errors import PlatformError
from include.release.model_store import set_desired
from include.settings import PREFIX, PROJECT_ROOT, Settings
from proofs.choices import check_names
from proofs.faults import serving_clients, serving_kills, serving_models, serving_stores
from proofs.faults.line import Line, run_drills
from proofs.harness.endpoint import BENTOML_SERVICE, USE_CASE, Endpoint
from proofs.harness.home import home_settings
from proofs.harness.ports import HOST, free_ports
from proofs.harness.world import World, build_world

TABLE = PROJECT_ROOT / "var" / "faults" / "serving.json"
GENERATORS = 2
SHARE = 0.1


@dataclass(frozen=True)
class Size:
    """How much of each fault is made."""

    worker_kills: int = 10
    server_kills: int = 30
    shipper_kills: int = 70
    generated: int = 10_000
    swaps: int = 6
    locked_seconds: float = 4.0
    """Beyond what a look-up waits for."""
    slow_connections: int = 60
    hang_ups: int = 200


QUICK = Size(
    worker_kills=1,
    server_kills=2,
    shipper_kills=3,
    generated=500,
    swaps=2,
    locked_seconds=1.0,
    slow_connections=20,
    hang_ups=40,
)
GROUPS = ("kills", "models", "stores", "clients", "generated", "disk")


def faults_serving(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer kills and requests.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help=f"Of {', '.join(GROUPS)}; may be repeated."),
    ] = None,
    bentoml: Annotated[
        bool,
        typer.Option(
            "--bentoml",
            help="The endpoint under BentoML's own server, not as the platform runs it.",
        ),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder with the endpoint's home and log.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the table is written as JSON; var/faults/serving.json without it.",
        ),
    ] = None,
) -> int:
    """Kill processes, fill disks, spoil models and clients of the endpoint.

    Takes about seven minutes and ends with 1 when a fault was not borne.
    """
    check_names("group", only or (), GROUPS)
    size, groups = QUICK if quick else Size(), tuple(only or GROUPS)
    return run_drills(
        "faults",
        lambda folder: run(folder, size, groups, bentoml=bentoml),
        table or TABLE,
        keep=keep,
    )


def run(folder: Path, size: Size, groups: Sequence[str], *, bentoml: bool = False) -> list[Line]:
    """All lines of the groups, in order.

    Raises `PlatformError` when the endpoint cannot be started.
    """
    settings = _settings(folder)
    service = BENTOML_SERVICE if bentoml else None
    world = build_world(settings)
    set_desired(settings, USE_CASE, 1, world.digests[1])
    endpoint = Endpoint(settings, port=settings.serving_port, service=service)
    lines: list[Line] = []
    try:
        endpoint.start()
        endpoint.wait_for("/readyz")
        for name, fault in faults(endpoint, world, size):
            if name in groups:
                lines.append(_attempt(fault, endpoint))
    finally:
        endpoint.close()
    if "disk" in groups:
        lines += _full_disk(world, service)
    return lines


def faults(endpoint: Endpoint, world: World, size: Size) -> list[tuple[str, Callable[[], Line]]]:
    """Group and fault of every line but those of the full disk, which need an endpoint of their
    own.
    """
    damages = (
        ("truncated", serving_models.truncated, "DigestMismatch"),
        ("tampered", serving_models.tampered, "SignatureError"),
        ("process-crashing", serving_models.crashing, "SIGSEGV"),
    )
    return [
        ("kills", lambda: serving_kills.kill_one_worker(endpoint, world, kills=size.worker_kills)),
        (
            "kills",
            lambda: serving_kills.kill_at_random(
                endpoint, world, server_kills=size.server_kills, shipper_kills=size.shipper_kills
            ),
        ),
        ("models", lambda: serving_models.swap_good(endpoint, world, swaps=size.swaps)),
        *(
            ("models", _swap(endpoint, world, name, damage, reason, 11 + number))
            for number, (name, damage, reason) in enumerate(damages)
        ),
        ("stores", lambda: serving_stores.stop_mlflow(endpoint, world)),
        (
            "stores",
            lambda: serving_stores.lock_online_store(endpoint, world, seconds=size.locked_seconds),
        ),
        ("stores", lambda: serving_stores.remove_online_store(endpoint, world)),
        ("stores", lambda: serving_stores.hide_artefacts(endpoint, world)),
        (
            "clients",
            lambda: serving_clients.slow_loris(endpoint, world, connections=size.slow_connections),
        ),
        ("clients", lambda: serving_clients.hang_up(endpoint, world, clients=size.hang_ups)),
        ("generated", lambda: generated(endpoint, size.generated)),
    ]


def _swap(
    endpoint: Endpoint,
    world: World,
    name: str,
    damage: serving_models.Damage,
    reason: str,
    version: int,
) -> Callable[[], Line]:
    return lambda: serving_models.swap_in(endpoint, world, name, damage, reason, version=version)


def generated(endpoint: Endpoint, count: int) -> Line:
    """Requests from a generator that reads our own OpenAPI document, from two processes at once."""
    share = -(-count // GENERATORS)
    environment = process_environment({"PYTHONPATH": str(PROJECT_ROOT)})
    children = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "proofs.faults.generated",
                endpoint.url,
                str(share),
                str(1_000_000 * number),
            ],
            cwd=PROJECT_ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(GENERATORS)
    ]
    endings = []
    for child in children:
        output, errors = child.communicate()
        if child.returncode != 0:
            raise PlatformError(f"the generator ended with {child.returncode}: {errors[-800:]}")
        endings.append(json.loads(output.splitlines()[-1]))
    sent = sum(part["sent"] for part in endings)
    wrong = [text for part in endings for text in part["wrong"]]
    count_wrong = sum(part["count"] for part in endings)
    statuses: Counter[str] = Counter()
    for part in endings:
        statuses.update(part["statuses"])
    return Line(
        f"{count} requests generated by schemathesis from our OpenAPI document",
        "all sent: True, 0 answers of 5xx, without an answer or with a 200 that is no JSON",
        f"all sent: {sent >= count}, {count_wrong} answers of 5xx, without an answer or with a 200"
        " that is no JSON",
        f"statuses {dict(sorted(statuses.items()))}" + (f"; first: {wrong[0]}" if wrong else ""),
    )


def _full_disk(world: World, service: str | None) -> list[Line]:
    """Both policies, each with an endpoint of its own on the small disk."""
    lines = []
    with serving_stores.small_log_disk(world) as what:
        for changes, fault in (
            ({}, serving_stores.fill_log_disk),
            (serving_stores.answer_policy(world), serving_stores.fill_log_disk_and_answer),
        ):
            segment = {f"{PREFIX}LOG_SEGMENT_BYTES": str(serving_stores.SEGMENT_BYTES)}
            with Endpoint(world.settings, service=service, changes=segment | changes) as endpoint:
                endpoint.wait_for("/readyz")
                lines.append(_attempt(partial(fault, endpoint, world, what), endpoint))
    return lines


def _attempt(fault: Callable[[], Line], endpoint: Endpoint) -> Line:
    """One line; a fault that cannot be judged is a line that does not hold, and the endpoint is
    brought back for the next.
    """
    started = time.monotonic()
    try:
        line = fault()
    except (PlatformError, OSError, KeyError) as error:
        line = Line(
            getattr(fault, "__name__", "a fault"),
            "a judgement",
            "none",
            f"{type(error).__name__}: {error}",
        )
    mark = "as expected" if line.holds else "NOT AS EXPECTED"
    print(f"{time.monotonic() - started:6.1f} s  {line.fault}: {mark}", flush=True)
    if not endpoint.running:
        endpoint.start()
    endpoint.wait_for("/readyz")
    return line


def _settings(folder: Path) -> Settings:
    """Two workers on a free port, everything else in `folder`."""
    serving, mlflow, grpc = free_ports(3)
    return home_settings(
        folder / "home",
        SHARE,
        SERVING_PORT=serving,
        SERVING_WORKERS=2,
        GRPC_PORT=grpc,
        MLFLOW_PORT=mlflow,
        MLFLOW_TRACKING_URI=f"http://{HOST}:{mlflow}",
    )
