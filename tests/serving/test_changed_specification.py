"""The specification moves on while versions from before serve: nobody gets a 500 for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import polars as pl
import pytest

from include.release.interfaces import interface_problem
from include.release.model_store import publish, set_desired, version_folder
from include.spec import Input, UseCase
from include.steps import RunInfo, StepContext
from proofs.harness.data import labelled_rows, train_signed, with_rounds
from proofs.harness.world import FIRST_ROWS, INTERVAL, World
from serving.engine.runtime import Runtime, RuntimeHolder
from serving.http.application import Application

pytestmark = pytest.mark.slow
NAME = "flight_delays"
FIELD = "scheduled_departure"
NEWER, OF_GONE_FEATURES = 31, 32
WINGS = Input(name="wings", source="plane:wings")


@dataclass(frozen=True)
class Running:
    """The endpoint's routes in this process, and the use case without the request field."""

    world: World
    runtime: Runtime
    loop: asyncio.Runner
    today: UseCase

    def post(self, path: str, document: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            holder = RuntimeHolder()
            holder.runtime = self.runtime
            transport = httpx.ASGITransport(app=Application(holder))
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.post(f"/v1/models/{NAME}/{path}", json=document)

        return self.loop.run(ask())

    def wait(self, condition: Callable[[], object]) -> None:
        until = time.monotonic() + 90
        while not condition() and time.monotonic() < until:
            time.sleep(0.05)
        assert condition(), self.runtime.models()

    def serve(self, version: int, digest: str, row: dict[str, Any]) -> None:
        """Have a version serve, and wait until it answers the row."""
        set_desired(self.world.settings, NAME, version, digest)

        def answers() -> bool:
            answer = self.post("predict", {"rows": [row]})
            return answer.status_code == 200 and answer.json()["model_version"] == version

        self.wait(answers)


def answered_by(answer: httpx.Response) -> int:
    """The version that has answered."""
    assert answer.status_code == 200, answer.text
    version: int = answer.json()["model_version"]
    return version


def without_field(use_case: UseCase) -> UseCase:
    """The flights after the request field was removed, and the inputs that read it."""
    fields = [field for field in use_case.serving.request_fields if field.name != FIELD]
    return use_case.model_copy(
        update={
            "inputs": tuple(item for item in use_case.inputs if item.source != FIELD),
            "serving": use_case.serving.model_copy(update={"request_fields": tuple(fields)}),
        }
    )


def trained(world: World, use_case: UseCase, number: int, rows: pl.DataFrame) -> str:
    """A version of another specification in the model store."""
    run = RunInfo(process="training", run_id=f"run-{number}")
    context = StepContext(with_rounds(use_case, 5), world.settings, INTERVAL, run)
    folder, digest, _ = train_signed(context, rows)
    publish(world.settings, NAME, folder, number, digest)
    return digest


@pytest.fixture(scope="module")
def running(world: World) -> Iterator[Running]:
    """The process has started anew after the field was removed; version 1 reads it and serves."""
    today = without_field(world.use_case)
    set_desired(world.settings, NAME, 1, world.digests[1])
    runtime = Runtime(world.settings, {NAME: today})
    runtime.start()
    with asyncio.Runner() as loop:
        endpoint = Running(world, runtime, loop, today)
        endpoint.wait(lambda: runtime.not_ready() is None)
        yield endpoint
        runtime.stop()
    set_desired(world.settings, NAME, 1, world.digests[1])


def test_a_removed_request_field_is_asked_for_by_the_version_that_reads_it(
    running: Running,
) -> None:
    rows = running.world.rows[:3]
    answer = running.post("predict", {"rows": rows})
    assert answered_by(answer) == 1
    assert running.post("check", None).json()["largest_difference"] <= 1e-6
    lacking = [{name: value for name, value in row.items() if name != FIELD} for row in rows]
    refused = running.post("predict", {"rows": lacking})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, f"rows[0].{FIELD}")


def test_a_newer_version_asks_for_less_and_a_roll_back_for_the_field_again(
    running: Running,
) -> None:
    world = running.world
    labelled = labelled_rows(world.settings, FIRST_ROWS, INTERVAL.end)
    digest = trained(world, running.today, NEWER, labelled)
    with_it, lacking = world.rows[:1], dict(world.rows[0])
    del lacking[FIELD]
    running.serve(NEWER, digest, lacking)
    refused = running.post("predict", {"rows": with_it})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unknown_field")
    assert (
        interface_problem(world.settings, running.today, version_folder(world.settings, NAME, 1))
        is None
    )
    running.serve(1, world.digests[1], with_it[0])
    assert running.post("predict", {"rows": [lacking]}).status_code == 422


def test_a_version_whose_features_are_gone_is_named_and_the_last_good_one_serves(
    running: Running,
) -> None:
    world, slot = running.world, running.runtime.watcher.slots[NAME]
    rows = labelled_rows(world.settings, FIRST_ROWS, INTERVAL.end).with_columns(
        (pl.int_range(pl.len()) % 3).cast(pl.Float64).alias("plane__wings")
    )
    winged = world.use_case.model_copy(update={"inputs": (*world.use_case.inputs, WINGS)})
    digest = trained(world, winged, OF_GONE_FEATURES, rows)
    folder = version_folder(world.settings, NAME, OF_GONE_FEATURES)
    assert "plane:wings" in (interface_problem(world.settings, running.today, folder) or "")
    set_desired(world.settings, NAME, OF_GONE_FEATURES, digest)
    running.wait(lambda: slot.last_error)
    assert "plane:wings" in (slot.last_error or "")
    assert answered_by(running.post("predict", {"rows": world.rows[:1]})) == 1
