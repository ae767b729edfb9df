"""What a process leaves to the operating system at its end, and what it still does."""

from __future__ import annotations

import subprocess
import sys

from include.settings import PROJECT_ROOT

ENDS = """
import atexit, gc, sys

atexit.register(lambda: sys.stdout.write(f"{gc.get_freeze_count() > 1000}"))
from include.process_end import end_at_once

end_at_once()


class Cycle:
    def __init__(self):
        self.me = self

    def __del__(self):
        sys.stdout.write("taken apart")


Cycle()
raise SystemExit(3)
"""


def test_cycles_are_left_and_the_exit_code_and_what_is_registered_count():
    done = subprocess.run(
        [sys.executable, "-c", ENDS], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "True", "")
