"""Many futures share one deadline: they all have the same time, so the one that began first is the
first to end.

A timer for each request, made and cancelled, costs more than reading its body; here one timer looks
at all of them twice a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

LOOK_SECONDS = 0.5

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Futures that get an exception after `seconds`, at the latest `LOOK_SECONDS` later.

    Use from one event loop.
    """

    def __init__(self, seconds: float, error: Callable[[], Exception]) -> None:
        self._seconds = seconds
        self._error = error
        self._watched: deque[tuple[float, asyncio.Future[T]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, future: asyncio.Future[T]) -> None:
        """Give a future its time from now on."""
        loop = future.get_loop()
        self._watched.append((loop.time() + self._seconds, future))
        if self._timer is None:
            self._timer = loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._watched and (self._watched[0][1].done() or self._watched[0][0] <= now):
            _, future = self._watched.popleft()
            if not future.done():
                future.set_exception(self._error())
        self._timer = loop.call_later(LOOK_SECONDS, self._look, loop) if self._watched else None
