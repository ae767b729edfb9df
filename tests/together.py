"""Runs the tests in parts, four at a time: `python -m tests.together [OPTION ...]`.

The parts share nothing: each has run-time folders and ports of its own. When one ends the next
begins, the long ones first, so that the last end at about the same time. What a part prints lies in
`var/tests/<part>.log` and is shown when it has ended.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from include.settings import PROJECT_ROOT
from include.threads import THREADS

LOGS = PROJECT_ROOT / "var" / "tests"
INTEGRATION = "tests/integration"
PARTS: Mapping[str, Sequence[str]] = {
    "platform": [
        f"{INTEGRATION}/test_{name}.py" for name in ("approval", "platform", "rollout", "tutorial")
    ],
    "demo": [f"{INTEGRATION}/test_demo.py"],
    "models": [
        f"tests/unit/{name}"
        for name in (
            "discovery",
            "evidence",
            "experiments",
            "features",
            "ml_test_score",
            "model",
            "monitoring",
            "processes",
            "scoring",
            "training",
        )
    ],
    "loop": [
        f"{INTEGRATION}/test_{name}.py"
        for name in ("data_refusals", "loop", "reproduce", "steps_twice", "triggers", "whole_loop")
    ],
    "stores": [
        f"{INTEGRATION}/test_stores.py",
        f"{INTEGRATION}/test_workers.py",
        "tests/serving/test_shared_store.py",
        "tests/upgrade",
    ],
    "wired": [INTEGRATION, "tests/dags"],
    "unit": ["tests/unit"],
    "commands": ["tests/unit/cli"],
    "releases": [
        f"tests/serving/test_{name}.py"
        for name in ("faults", "release", "release_analysis", "release_ledger", "stream", "traffic")
    ],
    "endpoint": ["tests/serving"],
    "data": [f"tests/unit/{name}" for name in ("data_sets", "evaluation", "proofs", "quality")],
}
"""What each part runs, in the order in which they start: the longest first, so that the last end at
about the same time. A file belongs to the part that names it most closely; files
that share a world of their session lie in one part.
"""
ONE_THREAD = {**THREADS, "POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1"}
"""The parts fill the cores. Several threads of each process would wait for each other's turn, which
costs small queries more than they gain.
"""
PYTEST = [sys.executable, "-m", "pytest", "-q", "--durations=25"]
AT_ONCE = 4
"""On two cores: some parts wait for half of their time, for servers and schedules. With more, every
platform and server lives longer, and what they do while they wait costs the processor too.
"""
NO_TEST = 5
"""Pytest's exit code where the options leave no test."""
POLL_SECONDS = 0.5
PROGRESS_SECONDS = 60.0
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 3 * 10**9
"""What a run's temporary files may take; a whole run takes a tenth of it."""


def files_of(part: str) -> list[str]:
    """The test files of a part, from the project's root."""
    homes = {path: name for name, paths in PARTS.items() for path in paths}
    files = sorted(
        path.relative_to(PROJECT_ROOT) for path in (PROJECT_ROOT / "tests").rglob("test_*.py")
    )
    return [
        str(file)
        for file in files
        if next((homes[str(at)] for at in (file, *file.parents) if str(at) in homes), None) == part
    ]


def run_together(
    commands: Mapping[str, Sequence[str]], logs: Path = LOGS, at_once: int = AT_ONCE
) -> dict[str, int]:
    """Run the commands in the project's root, in their order, `at_once` at the same time; their
    exit codes.

    Once a minute the last line of each log tells how far it is.
    """
    logs.mkdir(parents=True, exist_ok=True)
    pending, codes = list(commands), dict[str, int]()
    running: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
    reported = time.monotonic()
    with _leaving_when_asked() as asked, temporary_folder() as folder:
        environment = {**os.environ, **ONE_THREAD, **({"TMPDIR": str(folder)} if folder else {})}
        try:
            while pending or running:
                if asked:
                    sys.exit(128 + asked[0])
                while pending and len(running) < at_once:
                    name = pending.pop(0)
                    process = _start(commands[name], logs / f"{name}.log", environment)
                    running[name] = (process, time.monotonic())
                time.sleep(POLL_SECONDS)
                for name in [name for name, (process, _) in running.items() if _ended(process)]:
                    process, started = running.pop(name)
                    codes[name] = process.returncode
                    _show(name, logs, codes[name], time.monotonic() - started)
                if running and time.monotonic() - reported >= PROGRESS_SECONDS:
                    reported = time.monotonic()
                    _tell({name: _last_line(logs / f"{name}.log") for name in running})
        finally:
            for process, _ in running.values():
                process.terminate()
                process.wait()
    return codes


@contextmanager
def _leaving_when_asked() -> Iterator[list[int]]:
    """SIGTERM ends what was started and removes the folder in memory, as Ctrl-C does.

    Its number comes into the list, which is looked at where no process is just being started.
    """
    asked: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def temporary_folder() -> Iterator[Path | None]:
    """A folder in memory for all temporary files, where the machine has room for them there.

    What the tests prove of durability they prove by killing processes, which memory outlives; so
    that each write waits for a disk proves nothing more.
    """
    if not _is_fit(MEMORY):
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="fd-", dir=MEMORY))
    # PostgreSQL, which does not run as root, must come through to a folder of its own in it.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_fit(memory: Path) -> bool:
    """Whether there is room, and programs may be run from there: the tests copy some."""
    return (
        os.access(memory, os.W_OK)
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(memory).free >= MEMORY_BYTES
    )


def _start(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            list(command), cwd=PROJECT_ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )


def _ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


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


def commands_of(options: Sequence[str]) -> dict[str, list[str]]:
    """The command of each part; what passed of which commit stays in `var/tests/<part>.xml`."""
    return {
        name: [*PYTEST, f"--junitxml={LOGS / name}.xml", *options, *files_of(name)]
        for name in PARTS
    }


def failed(codes: Mapping[str, int]) -> bool:
    """Whether a part failed, or none had a test of the options."""
    return not set(codes.values()) <= {0, NO_TEST} or set(codes.values()) == {NO_TEST}


def main(options: Sequence[str]) -> int:
    """Exit code: 1 where a part failed, or where none has a test of the options."""
    return int(failed(run_together(commands_of(options))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
