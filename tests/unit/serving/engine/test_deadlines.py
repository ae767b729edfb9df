"""One timer for all futures, and each gets its own time."""

from __future__ import annotations

import asyncio

import pytest

from serving.engine import deadlines
from serving.engine.deadlines import Deadlines


def test_a_future_without_an_answer_gets_the_error_and_others_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadlines, "LOOK_SECONDS", 0.02)

    async def run() -> None:
        watch: Deadlines[bytes] = Deadlines(0.1, lambda: TimeoutError("too late"))
        loop = asyncio.get_running_loop()
        answered, forgotten = loop.create_future(), loop.create_future()
        watch.watch(answered)
        watch.watch(forgotten)
        answered.set_result(b"in time")
        started = loop.time()
        with pytest.raises(TimeoutError, match="too late"):
            await forgotten
        assert 0.1 <= loop.time() - started < 1.0
        assert await answered == b"in time"
        later = loop.create_future()
        watch.watch(later)
        with pytest.raises(TimeoutError):
            await later

    asyncio.run(run())
