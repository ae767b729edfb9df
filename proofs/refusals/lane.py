"""One lane of the table: a process with a world of its own, which runs each case in a child and
hands back what came of it.

A child per case: a case may kill its process, a process that has fitted a model must not fork, and
what libraries keep open belongs to the home of one case. The children are forked from a process
that has imported everything and run nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from include.settings import PROJECT_ROOT, load_settings
from proofs.refusals.cases import case
from proofs.refusals.without import switched_off
from proofs.refusals.world import World, build, enter, restore

# A case takes 12 to 20 s where nothing else runs, and was seen to take 580 on a busy machine.
CASE_SECONDS = 900.0
BUILD_SECONDS = 1800.0
PRELOADED = (
    "airflow.dag_processing.dagbag",
    "airflow.models.xcom",
    "mlflow",
    "xgboost",
    "optuna",
    "feast",
    "great_expectations",
    "sklearn.metrics",
    "deltalake",
    "matplotlib",
)


def run_lane(
    folder: Path, requests: Connection, without: Sequence[str] = (), *, champion: bool = True
) -> None:
    """Build the world, then answer every case name received with `{"name", "seen", "gates",
    "reasons", "seconds"}`; `None` ends it.

    The first message sent is `{"built": seconds}` or `{"error": text}`. The world is built by all
    rules, with a champion if asked for; the cases run without the rules named.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_to(folder / "lane.log")
    # Whoever is told to end unwinds: the lane takes its child along, the child the endpoint that it
    # started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    enter(folder)
    for module in PRELOADED:
        import_module(module)
    started = time.monotonic()
    built = _in_child(partial(_build, champion=champion), folder, BUILD_SECONDS)
    requests.send(
        {"built": round(time.monotonic() - started, 1)}
        if built["seen"] == "passed"
        else {"error": built["reasons"][0]}
    )
    while (name := requests.recv()) is not None:
        restore(folder)
        started = time.monotonic()
        answer = _in_child(partial(_run_case, without=without), name, CASE_SECONDS)
        reasons = [_anywhere(reason, folder / "home") for reason in answer["reasons"]]
        requests.send(
            {
                "name": name,
                **answer,
                "reasons": reasons,
                "seconds": round(time.monotonic() - started, 1),
            }
        )


def _in_child(target: Any, argument: Any, seconds: float) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, target, argument), daemon=True)
    child.start()
    sender.close()
    try:
        if receiver.poll(seconds):
            answer: dict[str, Any] = receiver.recv()
        else:
            answer = _broken(f"no answer within {seconds:g} s")
    except EOFError:
        child.join()
        answer = _broken(f"the process of the case ended with {child.exitcode}")
    child.join(5.0)
    if child.is_alive():
        child.kill()
        child.join()
    return answer


def _send(sender: Connection, target: Any, argument: Any) -> None:
    try:
        sender.send(target(argument))
    except BaseException as error:  # noqa: BLE001  # whatever ended the case is what the table has to say
        traceback.print_exc()
        sender.send(_broken(f"{type(error).__name__}: {error}"))
    sender.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # what libraries registered for the end of the process belongs to the parent


def _build(folder: Path, *, champion: bool) -> dict[str, Any]:
    build(folder, champion=champion)
    return {"seen": "passed", "gates": (), "reasons": ()}


def _run_case(name: str, without: Sequence[str] = ()) -> dict[str, Any]:
    with switched_off(without):
        outcome = case(name).act(World(load_settings()))
    return {"seen": outcome.seen, "gates": outcome.gates, "reasons": outcome.reasons}


def _anywhere(reason: str, home: Path) -> str:
    """The reason without where this run's home and the project happen to lie."""
    return reason.replace(str(home), "<home>").replace(f"{PROJECT_ROOT}/", "")


def _broken(reason: str) -> dict[str, Any]:
    return {"seen": "broken", "gates": (), "reasons": (reason,)}


def _write_to(log: Path) -> None:
    """Send everything that this process and its children print to the file."""
    with log.open("ab", buffering=0) as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
