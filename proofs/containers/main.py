"""`flightdeck faults containers`: the images and the platform of docker/compose.yaml, built and run
for real, line by line, also in `var/faults/containers.json`.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from include.settings import PROJECT_ROOT
from include.training.provenance import code_commit
from proofs.containers import bases
from proofs.containers.engine import Engine, engine
from proofs.containers.images import built, pushed, step_in_a_container
from proofs.containers.platform import platform_drills
from proofs.containers.stack import Stack
from proofs.faults.line import Line, run_drills

TABLE = PROJECT_ROOT / "var" / "faults" / "containers.json"
ENGINE = PROJECT_ROOT / "var" / "docker"
SHARE = 0.4
"""Of the source's rows: with fewer the gates, which judge small groups, refuse the model."""


def faults_containers(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the platform in containers running.")
    ] = False,
    share: Annotated[
        float, typer.Option(metavar="SHARE", min=0.01, max=1.0, help="Of the source's rows.")
    ] = SHARE,
    executor: Annotated[
        Literal["celery", "local"],
        typer.Option("--executor", help="Whether tasks run in workers or in the scheduler."),
    ] = "celery",
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the table is written as JSON; var/faults/containers.json without it.",
        ),
    ] = None,
) -> int:
    """Build the images, bring the platform up in containers, train, deploy, ask, kill.

    Needs a Docker engine, or root with dockerd. The public images are pulled; where no registry is
    reached, stand-ins are made of Debian's packages, which needs mmdebstrap.
    """
    return run_drills(
        "containers",
        lambda folder: _drills(folder, share, executor, keep=keep),
        table or TABLE,
        keep=keep,
    )


def _drills(folder: Path, share: float, executor: str, *, keep: bool) -> list[Line]:
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {text}", flush=True)

    say(f"commit {code_commit()}, {platform.machine()}, {os.cpu_count()} cores, {_load()}")
    with ExitStack() as stack:
        docker = stack.enter_context(engine(ENGINE))
        base, images = _bases(docker, folder, say)
        lines = built(docker, PROJECT_ROOT / "var" / "images", base, say)
        say("pushing an image")
        registry = bases.registry_image(docker, base)
        lines.append(pushed(docker, PROJECT_ROOT / "var" / "images", base, registry))
        say("a step as a container")
        lines += step_in_a_container(docker)
        running = Stack(docker, folder, images, share=share, executor=executor)
        running.down()
        if not keep:
            stack.callback(running.down)
        lines += platform_drills(running, folder / "secrets", say)
        say(f"done, {_load()}")
        return lines


def _load() -> str:
    """The processes that wanted a core in the last quarter of an hour, on average."""
    return f"a load of {os.getloadavg()[2]:.1f}"


def _bases(
    docker: Engine, folder: Path, say: Callable[[str], None]
) -> tuple[str | None, dict[str, str]]:
    if bases.can_pull(docker):
        say("public images")
        return None, {}
    say("no registry of images is reached: stand-ins of Debian's packages")
    base = bases.stand_in_base(docker, folder)
    return base, bases.stand_ins(docker, base)
