"""The supervisor is uvicorn's, but sees at once that a worker is dead, and no worker's death ends
it.

uvicorn asks a worker over a pipe whether it lives, and keeps the worker's end open itself: of a
worker that is killed while it is asked it waits for the answer until the time is up. And a worker
that cannot start ends the whole endpoint, the healthy workers with it; here it is tried again, and
shows in the platform's health check.
"""

from __future__ import annotations

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import multiprocess

COULD_NOT_START = 1


class Worker(multiprocess.Process):
    """One worker, as its supervisor sees it."""

    def start(self) -> None:
        """Start the process and leave its end of the pipe to it."""
        super().start()
        self.child_conn.close()

    @property
    def exitcode(self) -> int | None:
        """How it ended; None while it lives."""
        code = super().exitcode
        return COULD_NOT_START if code == STARTUP_FAILURE else code


class Supervisor(multiprocess.Multiprocess):
    """Keeps as many workers as were asked for; SIGHUP replaces them one by one."""

    def run(self) -> None:
        """Supervise until SIGTERM."""
        multiprocess.Process = Worker  # type: ignore[misc]  # what it makes its workers of
        super().run()
