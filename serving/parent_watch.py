"""A serving process whose supervisor was killed ends itself, so that it does not keep the port and
an old state.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

POLL_SECONDS = 0.5

logger = logging.getLogger("flightdeck.serving")


def end_with_parent() -> None:
    """Watch the parent process from a thread; when it is gone, stop like on SIGTERM.

    BentoML's supervisor starts its workers in sessions of their own: a kill -9 of the supervisor
    alone leaves them behind.
    """
    threading.Thread(
        target=_watch, args=(os.getppid(),), name="flightdeck-parent", daemon=True
    ).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    logger.error("the supervisor %d is gone; this worker ends", parent)
    os.kill(os.getpid(), signal.SIGTERM)
