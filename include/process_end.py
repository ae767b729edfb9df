"""A process that has done its work ends at once.

At its end Python looks through every object that is left, twice, for cycles to take apart: a third
of the processor time of a process that has imported MLflow and little more.
"""

from __future__ import annotations

import atexit
import gc
import sys

COUNTS_ITS_OBJECTS = "duckdb"


def end_at_once() -> None:
    """Let this process leave its cycles of objects to the operating system.

    What is to be written must be closed by who writes it. A file that is open and part of a cycle
    would lose what it has not written, so a process that runs steps of others does not call this.
    """
    atexit.register(_leave_cycles)


def _leave_cycles() -> None:
    """Where DuckDB was imported Python must look after all: it complains, on standard error, of
    each of its objects that is not taken apart.
    """
    if COUNTS_ITS_OBJECTS not in sys.modules:
        gc.freeze()
