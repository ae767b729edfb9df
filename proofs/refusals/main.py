"""The command: hand the cases to the lanes, print the table, write `var/refusals.json`, fail when a
case does not hold.
"""

from __future__ import annotations

import argparse
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
from typing import Any

from rich.console import Console

from include.errors import PlatformError
from include.settings import PROJECT_ROOT
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
CELL_CHARACTERS = 240
FILE_CHARACTERS = 170


def main(arguments: list[str]) -> int:
    """Run all cases, or those named by `--only`;

    1 when one got through, or the good one was refused.
    """
    parser = argparse.ArgumentParser(prog="flightdeck refusals", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        metavar="CASE",
        choices=[known.name for known in CASES],
        help="may be repeated",
    )
    parser.add_argument(
        "--without",
        action="append",
        metavar="RULE",
        default=[],
        help="switch it off, e.g. 'check_gates: brier'",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the folder with the cases' homes and logs"
    )
    parser.add_argument(
        "--lanes",
        type=int,
        default=LANES,
        help="cases at a time, each lane with a world of its own",
    )
    parser.add_argument(
        "--table", type=Path, help="where the table is written as JSON (default: var/refusals.json)"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.without if name not in switches()]
    if unknown:
        parser.error(f"--without {unknown[0]!r}: there is no such rule; valid: {switches()}")
    path = options.table or (TRIAL if options.without else TABLE)
    chosen = [case(name) for name in options.only] if options.only else list(CASES)
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that lanes and folders are cleared away then too
    console, started = _console(), time.monotonic()
    with _folder(keep=options.keep, console=console) as folder:
        rows = run(chosen, folder, lanes=options.lanes, console=console, without=options.without)
    show(rows, console)
    write(rows, path)
    wrong = [row.case for row in rows if not row.holds]
    console.print(
        f"{len(rows) - len(wrong)} of {len(rows)} as expected, {time.monotonic() - started:.0f} s;"
        f" {_shown(path)}",
        highlight=False,
    )
    return 1 if wrong else 0


def _shown(path: Path) -> Path:
    """As one says it in the project's folder."""
    return path.relative_to(PROJECT_ROOT) if path.is_relative_to(PROJECT_ROOT) else path


def _console() -> Console:
    """A terminal's own width; a file gets lines wide enough to read the reasons."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_CHARACTERS)


def run(
    chosen: Sequence[Case],
    folder: Path,
    *,
    lanes: int,
    console: Console,
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
                    console.print(
                        f"{row.seconds:6.1f} s  {row.case}: {row.seen}, {mark}", highlight=False
                    )
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
    reason = reason if len(reason) <= CELL_CHARACTERS else f"{reason[: CELL_CHARACTERS - 3]}..."
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
def _folder(*, keep: bool, console: Console) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="flightdeck-refusals-"))
    try:
        yield folder
    finally:
        if keep:
            console.print(f"kept: {folder}", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
