"""The release ledger is attacked under load: the next deployment refuses by name, monitoring raises
its alarm, and callers notice nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from include.errors import FlightdeckError, LedgerBroken
from include.processes.deployment import select_version
from include.processes.releases import check_releases
from include.release.ledger import Entry, Ledger
from include.settings import Settings
from include.steps import RunInfo, StepContext
from proofs.faults.line import Line
from proofs.harness.damage.ledger import ATTACKS, OLDER, Attack, LedgerFiles
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.traffic import Traffic
from proofs.harness.world import INTERVAL, World

ROWS = 5
ANSWERS = 10


def attack_ledger(
    endpoint: Endpoint, world: World, attacks: Sequence[Attack] = ATTACKS
) -> list[Line]:
    """One line for each attack, on a ledger of five rows in the endpoint's home, whose own is put
    back at the end. What serves there must have been decided by hand: a plan that names a row of
    the other ledger would be a witness against this one.
    """
    with _own_ledger(world.settings) as rows:
        return [_line(endpoint, world, attack, rows) for attack in attacks]


@contextmanager
def _own_ledger(settings: Settings) -> Iterator[list[Entry]]:
    """Put a ledger of five rows in the place of the one that is there, and that back at the end."""
    folder, keys = settings.ledger_path.parent, settings.keys_dir
    aside = folder.with_name("ledger-aside")
    if folder.exists():
        folder.rename(aside)
    kept = {path: path.read_bytes() for path in keys.glob("ledger*.pem")}
    for path in kept:
        path.unlink()
    try:
        yield _five_rows(settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if aside.exists():
            aside.rename(folder)
        for path in keys.glob("ledger*.pem"):
            path.unlink()
        for path, content in kept.items():
            path.write_bytes(content)


def _five_rows(settings: Settings) -> list[Entry]:
    ledger, files, rows = Ledger(settings), LedgerFiles(settings.ledger_path.parent), []
    for number in range(1, ROWS + 1):
        reason, evidence = "an attack is being tried", {"auc": 0.7}
        rows.append(
            ledger.append("registered", USE_CASE, number, "0" * 64, "drill", reason, evidence)
        )
        if str(number) == OLDER:
            files.backup(OLDER)
    ledger.verify_new()
    files.backup("whole")
    return rows


def _line(endpoint: Endpoint, world: World, attack: Attack, rows: list[Entry]) -> Line:
    files = LedgerFiles(world.settings.ledger_path.parent, rows)
    with Traffic(endpoint.url, world.rows, callers=2, retries=False).flowing() as traffic:
        traffic.wait_for(ANSWERS)
        attack.deed(files)
        refused, alarmed = _refused(world), _alarmed(world)
        traffic.wait_for(ANSWERS)
    files.restore("whole")
    Ledger(world.settings).verify()
    return Line(
        f"ledger: {attack.name}",
        f"deployment refuses for {attack.kind}, monitoring alarms for {attack.kind},"
        " 0 client errors",
        f"deployment refuses for {refused}, monitoring alarms for {alarmed},"
        f" {sum(traffic.errors.values())} client errors",
        f"{len(traffic.answered)} answers",
    )


def _refused(world: World) -> str:
    try:
        select_version(_context(world, "deployment"))
    except LedgerBroken as error:
        return error.kind
    except FlightdeckError as error:
        return f"something else: {error}"
    return "nothing"


def _alarmed(world: World) -> str:
    result = check_releases(_context(world, "monitoring"))
    return "nothing" if result.accepted else result.findings[0].subject


def _context(world: World, process: str) -> StepContext:
    return StepContext(world.use_case, world.settings, INTERVAL, RunInfo(process, "drill"))
