"""Runs the tests in two processes at a time, one per core: `python -m tests.together [OPTION ...]`.

The halves share nothing: each has run-time folders and ports of its own. What a half prints is kept
in `var/tests/<half>.log` and shown when it has ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from include.settings import PROJECT_ROOT

LOGS = PROJECT_ROOT / "var" / "tests"
HALVES: Mapping[str, Sequence[str]] = {
    "unit-and-serving": ["tests/unit", "tests/serving"],
    "dags-and-wired": ["tests/dags", "tests/integration"],
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "--durations=10"]
NO_TEST = 5
"""Pytest's exit code where the options leave no test."""
POLL_SECONDS = 0.5
PROGRESS_SECONDS = 60.0


def run_together(commands: Mapping[str, Sequence[str]], logs: Path = LOGS) -> dict[str, int]:
    """Run the commands at the same time in the project's root; their exit codes.

    Once a minute the last line of each log tells how far it is.
    """
    logs.mkdir(parents=True, exist_ok=True)
    started, told = time.monotonic(), time.monotonic()
    running: dict[str, subprocess.Popen[bytes]] = {}
    codes: dict[str, int] = {}
    for name, command in commands.items():
        with (logs / f"{name}.log").open("wb") as log:
            running[name] = subprocess.Popen(
                list(command), cwd=PROJECT_ROOT, stdout=log, stderr=subprocess.STDOUT
            )
    try:
        while running:
            time.sleep(POLL_SECONDS)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                codes[name] = running.pop(name).returncode
                _show(name, logs, codes[name], time.monotonic() - started)
            if running and time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                _tell({name: _last_line(logs / f"{name}.log") for name in running})
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return codes


def _show(name: str, logs: Path, code: int, seconds: float) -> None:
    sys.stdout.write((logs / f"{name}.log").read_text(errors="replace"))
    sys.stdout.write(f"{name}: exit code {code} after {seconds:.0f} s\n")
    sys.stdout.flush()


def _tell(lines: Mapping[str, str]) -> None:
    sys.stdout.writelines(f"{name}: {line}\n" for name, line in lines.items())
    sys.stdout.flush()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][-80:].strip() if lines else "starting"


def main(options: Sequence[str]) -> int:
    """Exit code: 1 where a half failed, or where neither has a test of the options."""
    commands = {name: [*PYTEST, *options, *folders] for name, folders in HALVES.items()}
    codes = set(run_together(commands).values())
    return int(not codes <= {0, NO_TEST} or codes == {NO_TEST})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
