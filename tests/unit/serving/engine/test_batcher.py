"""The batcher with another router than the plan's: each row is answered by the arm that the router
decides on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.inference_log.log import ship
from include.settings import Settings, load_settings
from serving.contract.errors import UnanswerableError
from serving.contract.question import Question
from serving.engine import batcher as batching
from serving.engine import worker as working
from serving.engine.batcher import LOOP_ROWS, Batcher
from serving.scoring.arm import Arm, Picked
from serving.scoring.batch import Scored
from tests.unit.inference_log.log_helpers import answered, served

CASE = "flight_delays"


class ByFirstRow:
    """Two arms: the first row names the one that answers."""

    def __init__(self) -> None:
        versions: dict[int, Any] = {1: object(), 2: object()}
        self.arms = {number: Arm("champion", number, versions[number], 0.5) for number in versions}

    def pick(self, question: Question) -> Picked:
        wish = question.rows[0]["arm"]
        if wish == "none":
            raise UnanswerableError(503, "no_model", "No arm.")
        if wish == "both":
            return [self.arms[1 + number % 2] for number in range(len(question.rows))]
        return self.arms[wish]


class Stores:
    """A store that nobody waits for."""

    def blocks(self, use_case: str) -> bool:
        return False

    def get(self, use_case: str) -> Any:
        return None


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, int]]:
    """The calls of `score_batch`: the versions by row, or of all rows, and how many questions."""
    calls: list[tuple[Any, int]] = []

    def score(
        _case: Any, picked: Any, _online: Any, questions: Any, *, wait: bool = True
    ) -> Scored:
        versions = [arm.version for arm in picked] if isinstance(picked, list) else picked.version
        calls.append((versions, len(questions)))
        rows = sum(len(question.rows) for question in questions)
        texts = [repr(question.rows[0]["arm"]).encode() for question in questions]
        return Scored(texts, answered(rows), {})

    monkeypatch.setattr(batching, "score_batch", score)
    monkeypatch.setattr(working, "score_batch", score)
    return calls


def run(home: Settings, work: Callable[[Batcher], Any], router: Any) -> Any:
    async def live() -> Any:
        batcher = Batcher(home, {CASE: served()}, router, Stores())  # type: ignore[arg-type]
        batcher.log.tend()  # the log is open before the first request
        batcher.start()
        try:
            return await work(batcher)
        finally:
            batcher.stop()

    return asyncio.run(live())


def question(arm: Any, rows: int = 1) -> Question:
    return Question(CASE, [{"arm": arm}] * rows)


@pytest.mark.parametrize("rows", [1, LOOP_ROWS + 1], ids=["event loop", "thread"])
def test_requests_are_scored_together_each_row_by_its_own_arm(
    home: Settings, scored: list[tuple[Any, int]], rows: int
) -> None:
    router = ByFirstRow()

    async def work(batcher: Batcher) -> list[bytes]:
        return await asyncio.gather(*(batcher.put(question(arm, rows)) for arm in (1, 2, 1)))

    assert run(home, work, router) == [b"1", b"2", b"1"]
    if rows == 1:
        assert scored == [([1, 2, 1], 3)]
    versions = {version for called, _ in scored for version in np.atleast_1d(called).tolist()}
    assert versions == {1, 2}
    assert ship(home, CASE)["total"] == 3 * rows


def test_requests_of_one_arm_are_scored_as_one_and_mixed_rows_each_by_theirs(
    home: Settings, scored: list[tuple[Any, int]]
) -> None:
    async def work(batcher: Batcher) -> list[bytes]:
        await asyncio.gather(*(batcher.put(question(1)) for _ in range(3)))
        return await asyncio.gather(batcher.put(question("both", 3)), batcher.put(question(2, 2)))

    assert run(home, work, ByFirstRow()) == [b"'both'", b"2"]
    assert scored == [(1, 3), ([1, 2, 1, 2, 2], 2)]


@pytest.mark.parametrize("rows", [1, LOOP_ROWS + 1], ids=["event loop", "thread"])
@pytest.mark.usefixtures("scored")
def test_a_request_without_an_arm_fails_alone(home: Settings, rows: int) -> None:
    async def work(batcher: Batcher) -> list[Any]:
        pending = [batcher.put(question(arm, rows)) for arm in ("none", "unknown", 2)]
        return await asyncio.gather(*pending, return_exceptions=True)

    none, unknown, good = run(home, work, ByFirstRow())
    assert isinstance(none, UnanswerableError)
    assert isinstance(unknown, KeyError)
    assert good == b"2"


def test_the_path_of_a_request_names_modules_that_there_are():
    named = re.findall(r"`(serving\.[a-z_.]+)`", batching.__doc__ or "")
    assert len(named) > 15
    assert [name for name in named if importlib.util.find_spec(name) is None] == []
