"""The command `audit`: does an advisory speak of a package that is locked?

An audit that could not look is no audit: a package of which the database said nothing, not even
that it has nothing, fails it as an advisory does.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from packaging.utils import canonicalize_name

from cli.maintenance.tools import tool
from cli.runs.verdict import REFUSED
from cli.tables import print_table
from include.bundles.requirements import locked_here
from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings, load_settings

LOCK = PROJECT_ROOT / "requirements.txt"
LAST_CHARACTERS = 600
MOST_NAMES = 5


@dataclass(frozen=True)
class Advisory:
    """What a database says of a package; `fixed_in` is empty where there is no version without."""

    package: str
    version: str
    identifier: str
    fixed_in: tuple[str, ...]


def audit(
    lock: Annotated[
        Path, typer.Option(metavar="FILE", help="The lock to look at.", show_default=False)
    ] = LOCK,
    osv_url: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An OSV database's query address; https://api.osv.dev by default."
        ),
    ] = None,
) -> int:
    """Ask the database of open-source vulnerabilities about every locked package.

    Exit code 3: an advisory speaks of one. 1: not every package could be looked up, as without a
    network, so nothing is known. 0: all were, and none is spoken of.
    """
    advisories, count = look_up(load_settings(), lock, osv_url)
    if advisories:
        print_table(
            f"{lock.name}: {len(advisories)} advisories",
            ("package", "version", "advisory", "fixed in"),
            [
                (item.package, item.version, item.identifier, ", ".join(item.fixed_in))
                for item in advisories
            ],
        )
        return REFUSED
    print(f"{lock.name}: {count} packages were looked up, and no advisory speaks of them.")
    return 0


def look_up(settings: Settings, lock: Path, osv_url: str | None) -> tuple[list[Advisory], int]:
    """The advisories, and how many packages were looked up.

    Raises `PlatformError` where one was not, or none is locked.
    """
    expected = {canonicalize_name(name) for name in locked_here(lock.read_text(encoding="utf-8"))}
    if not expected:
        raise PlatformError(f"{lock} locks no package: there is nothing to look up.")
    with tempfile.TemporaryDirectory(prefix="flightdeck-audit-") as folder:
        report = Path(folder) / "report.json"
        done = subprocess.run(
            [
                str(tool(settings, "pip-audit")),
                *("--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off"),
                *("--requirement", str(lock), "--vulnerability-service=osv"),
                *(("--osv-url", osv_url) if osv_url else ()),
                *("--format=json", f"--output={report}", f"--cache-dir={folder}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        answers = json.loads(report.read_bytes())["dependencies"] if report.is_file() else []
    looked_up = {canonicalize_name(item["name"]) for item in answers if "vulns" in item}
    if missing := sorted(expected - looked_up):
        raise PlatformError(_unknown(lock, expected, missing, done.stderr))
    return list(_advisories(answers)), len(looked_up)


def _unknown(lock: Path, expected: set[Any], missing: Sequence[str], said: str) -> str:
    last = said.strip().splitlines()[-1:]
    more = ", ..." if len(missing) > MOST_NAMES else ""
    return (
        f"{len(missing)} of {len(expected)} packages of {lock.name} could not be looked up"
        f" ({', '.join(missing[:MOST_NAMES])}{more}), so nothing is known of"
        f" them: {last[0][-LAST_CHARACTERS:] if last else 'the database said nothing'}. Is"
        " there a network?"
    )


def _advisories(answers: Sequence[dict[str, Any]]) -> Iterator[Advisory]:
    for item in answers:
        for advisory in item["vulns"]:
            yield Advisory(
                item["name"], item["version"], advisory["id"], tuple(advisory["fix_versions"])
            )
