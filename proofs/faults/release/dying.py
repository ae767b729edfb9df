"""Steps of a release that die while they work: `python -m proofs.faults.release.dying`.

Reads one JSON line `{"step", "input", "output", "kill_at"}` after the other, runs the step as
`python -m include.processes.run STEP --input FILE --output FILE` does, in a forked child, and
answers with one line `{"status", "writes"}`. What a child that lived has imported is imported here
too, so that the next one need not: imports take longer than most steps. A child kills itself
(SIGKILL) immediately before its write number `kill_at`: before a file is opened for writing,
renamed, linked or removed, and before a transaction is committed. Nothing of the step is replaced.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from include.process_end import end_at_once
from include.processes import run

WRITES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink"})
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Killer:
    """Counts a process's writes below `home`, and ends it at one of them."""

    def __init__(self, home: Path, kill_at: int | None) -> None:
        self.home, self.kill_at, self.writes = str(home), kill_at, 0

    def install(self) -> None:
        """Watch this process from now on."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "commit", lambda _: self.count())
        sys.addaudithook(self._audit)

    def count(self) -> None:
        """One more write is about to happen."""
        self.writes += 1
        if self.writes == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and str(path).startswith(self.home):
                self.count()
        elif name in WRITES and str(arguments[0]).startswith(self.home):
            self.count()


def run_and_die(order: dict[str, Any], home: Path) -> dict[str, int]:
    """Run an order in a child: its exit status (negative: the signal), and its writes where it
    lived.
    """
    output = Path(order["output"])
    report = output.with_suffix(".report")
    report.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        before = set(sys.modules)
        killer = Killer(home, order["kill_at"])
        killer.install()
        status = run.main([order["step"], "--input", order["input"], "--output", str(output)])
        killer.kill_at = None
        modules = [name for name in sys.modules if name not in before]
        report.write_text(json.dumps({"writes": killer.writes, "modules": modules}))
        sys.stderr.flush()
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not report.exists():
        return {"status": status, "writes": 0}
    content = json.loads(report.read_text())
    for name in content["modules"]:
        with suppress(ImportError):
            import_module(name)
    return {"status": status, "writes": content["writes"]}


def main() -> int:
    """Serve orders until there are no more."""
    home = Path(os.environ["FLIGHTDECK_HOME"])
    for line in sys.stdin:
        answer = run_and_die(json.loads(line), home)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    exits_with = end_at_once()
    code = main()
    exits_with(code)
    sys.exit(code)
