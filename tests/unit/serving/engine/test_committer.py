"""Group commit: no answer before its rows are durable, whatever the disk does."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from include.inference_log.log import ship
from include.inference_log.writer import LogWriter
from include.settings import Settings, load_settings
from serving.contract.errors import UnanswerableError
from serving.contract.question import Question
from serving.engine import committer as committing
from serving.engine.committer import Committer
from serving.engine.pending import Batch, Job
from serving.scoring.arm import Arm
from serving.scoring.batch import Scored
from tests.unit.inference_log.log_helpers import answered, served

CASE = "flight_delays"
NO_MODEL: Any = None
ARM = Arm("champion", 3, NO_MODEL, 1.0)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


class World:
    """A committer over a real log; `synced` counts syncs of the loop."""

    def __init__(self, home: Settings, **changes: object) -> None:
        self.log = LogWriter(home, {CASE: served(**changes)})
        self.log.tend()
        self.room = 0
        self.committer = Committer(self.log, self._make_room)

    def _make_room(self) -> None:
        self.room += 1

    def add(self, rows: int) -> asyncio.Future[bytes]:
        loop = asyncio.get_running_loop()
        job = Job(loop.create_future(), loop, Question(CASE, []))
        scored = Scored([b"answer"], answered(rows), {})
        self.committer.add(CASE, [Batch([job], [Question(CASE, [])], scored, ARM)])
        return job.future


def test_a_batch_is_durable_when_its_answer_is_given(home: Settings) -> None:
    async def run() -> None:
        world = World(home)
        future = world.add(3)
        assert future.done()
        assert await future == b"answer"
        assert ship(home, CASE)["total"] == 3
        world.log.close()

    asyncio.run(run())


def test_a_slow_disk_does_not_hold_the_loop(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []

    def slow(file: int) -> None:
        syncs.append(file)
        time.sleep(2 * committing.SLOW_SECONDS)

    monkeypatch.setattr(os, "fdatasync", slow)

    async def run() -> None:
        world = World(home)
        assert world.add(1).done()  # the one that shows that the disk is slow
        waiting = [world.add(2), world.add(2)]
        assert not any(future.done() for future in waiting)
        assert await asyncio.gather(*waiting) == [b"answer"] * 2
        again = world.add(1)
        assert not again.done()
        await again
        assert len(syncs) == 1
        assert ship(home, CASE)["total"] == 6
        world.log.close()

    asyncio.run(run())


def test_what_cannot_be_synced_is_not_answered_and_the_next_goes_elsewhere(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    async def run() -> None:
        world = World(home)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", broken)
            with pytest.raises(UnanswerableError, match="Input/output error") as refusal:
                await world.add(1)
        assert (refusal.value.status, refusal.value.code) == (503, "log_unavailable")
        assert world.log.refuses()
        world.log.tend()
        assert not world.log.refuses()
        assert await world.add(1) == b"answer"
        world.log.close()

    asyncio.run(run())


def test_a_use_case_that_goes_on_without_its_log_is_answered_and_counted(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    async def run() -> None:
        world = World(home, log_full="answer")
        monkeypatch.setattr("include.inference_log.journal._write", full)
        assert await world.add(2) == b"answer"
        assert await world.add(3) == b"answer"
        assert world.log.dropped == {CASE: 5}
        world.log.close()

    asyncio.run(run())


def test_room_is_asked_for_before_the_segment_is_full(home: Settings) -> None:
    async def run() -> None:
        world = World(home.model_copy(update={"log_segment_bytes": 70_000}))
        while not world.room:
            await world.add(20)
        before = len(list(home.serving_dir.glob("log/journal/*/*/*.log")))
        world.log.make_room()
        assert len(list(home.serving_dir.glob("log/journal/*/*/*.log"))) == before + 1
        world.log.close()

    asyncio.run(run())


def test_a_log_that_is_synced_each_second_is_written_at_once(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("include.inference_log.journal.os.fdatasync", synced.append)

    async def run() -> None:
        world = World(home, log_sync="second")
        before = len(synced)
        assert world.add(3).done()
        assert len(synced) == before
        assert ship(home, CASE)["total"] == 3
        world.log.tend()
        assert len(synced) == before + 1
        world.log.close()

    asyncio.run(run())
