"""A bundle is tried before it counts: its own code, in the environment's settings and on its share
of the data, from the source to an answer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.platform.environment import process_environment
from cli.runs.verdict import ACCEPTED
from include.settings import PREFIX, Settings

MOST_CHARACTERS = 2000


@dataclass(frozen=True)
class Trial:
    """What the end-to-end run of a use case came to: `outcomes` are those of its parts, as JSON,
    and `reasons` say in sentences why the bundle is not taken (empty where it is).
    """

    use_case: str
    outcomes: Sequence[dict[str, Any]]
    reasons: tuple[str, ...]

    @property
    def as_json(self) -> dict[str, Any]:
        """What is recorded."""
        return {
            "use_case": self.use_case,
            "outcomes": list(self.outcomes),
            "reasons": list(self.reasons),
        }


def try_bundle(
    settings: Settings, root: Path, use_cases: Sequence[str], options: Sequence[str]
) -> Iterator[Trial]:
    """Run the pipeline of each use case with the code in `root`; `options` are those of `smoke`.

    Its home is its own and goes at the end: nothing that serves is touched.
    """
    for name in use_cases:
        yield _try_use_case(settings, root, name, options)


def problems_there(settings: Settings, root: Path) -> list[str]:
    """Why the code in `root` cannot run in the environment: what it declares, and its settings."""
    done = _run(settings, root, ["declarations"], capture=True)
    return [] if done.returncode == 0 else [(done.stdout or done.stderr).strip()[-MOST_CHARACTERS:]]


def _try_use_case(settings: Settings, root: Path, name: str, options: Sequence[str]) -> Trial:
    with tempfile.TemporaryDirectory(prefix="flightdeck-trial-") as folder:
        report = Path(folder) / "report.json"
        command = ["smoke", name, "--report", str(report), *options]
        done = _run(settings, root, command)
        outcomes = json.loads(report.read_bytes()) if report.is_file() else []
    return Trial(name, outcomes, tuple(_reasons(name, done, outcomes)))


def _reasons(
    name: str, done: subprocess.CompletedProcess[str], outcomes: Sequence[dict[str, Any]]
) -> Iterator[str]:
    if done.returncode == ACCEPTED:
        return
    for outcome in outcomes:
        for reason in outcome["reasons"]:
            yield f"{outcome['title']} {outcome['state']}: {reason}"
    if not any(outcome["reasons"] for outcome in outcomes):
        printed = done.stderr.strip()[-MOST_CHARACTERS:] or "nothing"
        yield (
            f"{name}: the end-to-end run ended with exit code {done.returncode} and no verdict; its"
            f" last words: {printed}"
        )


def _run(
    settings: Settings, root: Path, command: Sequence[str], *, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command of the code in `root` with the settings that were set, and no others: code of
    another version need not know them.
    """
    own = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    place = {f"{PREFIX}ENV": settings.environment, f"{PREFIX}HOME": str(settings.home)}
    arguments = [sys.executable, "-m", "cli", *command]
    process = subprocess.Popen(
        arguments,
        cwd=root,
        env=process_environment({**own, **place, "PYTHONPATH": str(root)}),
        stdout=subprocess.PIPE if capture else None,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        printed, said = process.communicate()
    finally:
        # It stops its servers and removes its home when it is asked to end.
        if process.poll() is None:
            process.terminate()
            process.communicate()
    if not capture:
        sys.stderr.write(said)
    return subprocess.CompletedProcess(arguments, process.returncode, printed, said)
