"""A file is synced without waiting for it: by the kernel's asynchronous input and output, or by a
thread where there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, Protocol

from caio import linux_aio_asyncio, python_aio_asyncio, thread_aio_asyncio

OPERATIONS = 32

logger = logging.getLogger("flightdeck.serving")


class Syncing(Protocol):
    """A way to sync files; bound to the event loop in which it was opened."""

    def fdsync(self, fd: int) -> Awaitable[Any]:
        """Return once what was written to the file before is durable; raises `OSError` when it is
        not.
        """
        ...


def open_syncing() -> Syncing:
    """Return the fastest way that this machine allows (io_uring is slower here: it hands every sync
    to a thread of its own).
    """
    for variant in (linux_aio_asyncio, thread_aio_asyncio):
        if variant is not None:
            try:
                opened: Syncing = variant.AsyncioContext(max_requests=OPERATIONS)
            except (OSError, SystemError) as error:
                logger.warning(
                    "%s cannot be used to sync the inference log: %s", variant.__name__, error
                )
            else:
                return opened
    slowest: Syncing = python_aio_asyncio.AsyncioContext(max_requests=OPERATIONS)  # type: ignore[no-untyped-call]
    return slowest
