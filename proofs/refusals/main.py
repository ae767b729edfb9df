"""The command: hand the cases to the lanes, print the table, write `var/refusals.json`, fail when a
case does not hold.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Annotated, Any

import typer

from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from proofs.choices import check_names
from proofs.refusals.case import Case
from proofs.refusals.cases import CASES, case
from proofs.refusals.lane import run_lane
from proofs.refusals.table import Row, show, write
from proofs.refusals.verdict import Outcome
from proofs.refusals.without import switches

LANES = 2
TABLE = PROJECT_ROOT / "var" / "refusals.json"
# What came of switched-off rules is no result of the refusal table.
TRIAL = TABLE.with_name("refusals_without.json")


def refusals(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="CASE", help="One case of the table; may be repeated."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="A rule to switch off, for example 'check_gates: brier'; may be repeated.",
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the folder with the cases' homes and logs.")
    ] = False,
    lanes: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Cases at a time, each lane with a home of its own."),
    ] = LANES,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the table is written as JSON; var/refusals.json without it."
        ),
    ] = None,
) -> int:
    """Send bad data, models and packages through the DAGs.

    Ends with 1 when a case got through or was refused by another rule than its own, or when the
    good one was refused.
    """
    check_names("case", only or (), [one.name for one in CASES])
    check_names("rule", without or (), switches())
    path = table or (TRIAL if without else TABLE)
    chosen = [case(name) for name in only] if only else list(CASES)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that lanes and folders are cleared away then too
    started = time.monotonic()
    with _folder(keep=keep) as folder:
        rows = run(chosen, folder, lanes=lanes, without=without or ())
    show(rows)
    write(rows, path)
    wrong = [row.case for row in rows if not row.holds]
    print(
        f"{len(rows) - len(wrong)} of {len(rows)} as expected, {time.monotonic() - started:.0f} s;"
        f" {_shown(path)}"
    )
    return 1 if wrong else 0


def _shown(path: Path) -> Path:
    """As one says it in the project's folder."""
    return path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path


def run(
    chosen: Sequence[Case],
    folder: Path,
    *,
    lanes: int,
    without: Sequence[str] = (),
) -> list[Row]:
    """The rows of the cases, in their order. Raises `PlatformError` when no world can be built."""
    waiting, answers = list(chosen), {}
    work = partial(run_lane, champion=any(one.champion for one in chosen))
    with _lanes(folder, min(lanes, len(waiting)), work, without) as connections:
        while connections:
            ready = wait(connections)
            for connection, lane in [
                (one, name) for one, name in connections.items() if one in ready
            ]:
                answer = _receive(connection, lane)
                if "name" in answer:
                    row = answers[answer["name"]] = _row(case(answer["name"]), answer)
                    mark = "as expected" if row.holds else "NOT AS EXPECTED"
                    print(f"{row.seconds:6.1f} s  {row.case}: {row.seen}, {mark}", flush=True)
                if waiting:
                    connection.send(waiting.pop(0).name)
                else:
                    connection.send(None)
                    del connections[connection]
    return [answers[one.name] for one in chosen]


def _receive(connection: Connection, lane: str) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = connection.recv()
    except EOFError as error:
        raise PlatformError(
            f"{lane} of the refusal table has ended; see its lane.log (run with --keep)."
        ) from error
    if "error" in answer:
        raise PlatformError(
            f"{lane} of the refusal table could not build its world: {answer['error']}"
        )
    return answer


def _row(case: Case, answer: dict[str, Any]) -> Row:
    outcome = Outcome(answer["seen"], tuple(answer["gates"]), tuple(answer["reasons"]))
    gate = case.gate(outcome) or ", ".join(dict.fromkeys(outcome.gates))
    reason = " ".join(case.reason(outcome).split())
    return Row(
        case.name, case.expected, outcome.seen, gate, reason, answer["seconds"], case.holds(outcome)
    )


@contextmanager
def _lanes(
    folder: Path, count: int, work: Callable[..., None], without: Sequence[str]
) -> Iterator[dict[Connection, str]]:
    context = multiprocessing.get_context("spawn")
    connections: dict[Connection, str] = {}
    processes = []
    for number in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(folder / f"lane{number}", theirs, without))
        process.start()
        theirs.close()
        connections[ours] = f"lane {number}"
        processes.append(process)
    try:
        yield connections
        for process in processes:
            process.join()
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
                process.join()


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="flightdeck-refusals-"))
    try:
        yield folder
    finally:
        if keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
