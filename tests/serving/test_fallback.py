"""Where a challenger fails to score, the champion answers, through the real batcher and log:
callers see no error, and the log says what happened.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.model.signing import public_key
from include.release.model_store import Desired, version_folder
from include.release.plan import IssuedPlan, Plan, PlannedArm
from proofs.harness.endpoint import USE_CASE
from proofs.harness.logged import logged_rows
from proofs.harness.world import World
from serving.contract.metrics import ARM_FALLBACKS
from serving.contract.question import Question
from serving.contract.schema import RequestSchema, request_schema
from serving.engine.batcher import LOOP_ROWS, Batcher
from serving.models.loading import load_served
from serving.models.slots import ModelSlot
from serving.models.traffic import open_traffic
from serving.router.router import PlanRouter
from serving.scoring.online_stores import OnlineStores
from serving.scoring.scorer import Scorer
from serving.scoring.served_model import ServedModel

pytestmark = pytest.mark.slow
SEQUENCE, ROWS = 41, 60


class Broken(Scorer):
    """A scorer that fails on the flights of some aircraft."""

    planes: frozenset[str | None] = frozenset()

    def score(self, sources: Sequence[Any]) -> tuple[np.ndarray, list[Any]]:
        if any(source["tailnum"] in self.planes for source in sources):
            raise ZeroDivisionError("no wings")
        return super().score(sources)


@pytest.fixture(scope="module")
def slot(world: World) -> ModelSlot:
    """Both versions answer half of the rows; version 2 fails on some."""
    slot = ModelSlot(world.settings, world.use_case)
    models: dict[tuple[int, str], ServedModel] = {}
    for number, digest in world.digests.items():
        folder = version_folder(world.settings, USE_CASE, number)
        served = load_served(
            Desired(number, digest, folder), world.use_case, public_key(world.settings)
        )
        models[number, digest] = served
    challenger = models[2, world.digests[2]]
    broken = Broken(world.use_case, challenger.model)
    models[2, world.digests[2]] = replace(challenger, scorer=broken)
    plan = Plan(
        use_case=USE_CASE,
        sequence=SEQUENCE,
        arms=(
            PlannedArm(role="champion", version=1, digest=world.digests[1], share=0.5),
            PlannedArm(role="challenger", version=2, digest=world.digests[2], share=0.5),
        ),
        unit=("tailnum", "dest"),
        salt="fallback",
        decided_by="",
    )
    slot.traffic = open_traffic(IssuedPlan(plan), models)
    router, schema = PlanRouter({USE_CASE: slot}), request_schema(world.use_case)
    challenged = [
        row["tailnum"]
        for row in validated(schema, world.rows[:ROWS])
        if getattr(router.pick(Question(USE_CASE, [row])), "version", None) == 2
    ]
    broken.planes = frozenset(challenged[1::8])
    return slot


def validated(schema: RequestSchema, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows checked one by one: the contract's limit on their number is another test's matter."""
    return [schema.validate({"rows": [row]})[0] for row in rows]


def ask(world: World, slot: ModelSlot, requests: list[list[dict[str, Any]]]) -> list[Any]:
    """The answers to requests that come at once."""
    use_cases = {USE_CASE: world.use_case}
    schema = request_schema(world.use_case)

    async def run() -> list[Any]:
        stores = OnlineStores(world.settings, use_cases)
        stores.start()
        batcher = Batcher(world.settings, use_cases, PlanRouter({USE_CASE: slot}), stores)
        batcher.log.tend()
        batcher.start()
        deadline = time.monotonic() + 60
        while not stores.is_open(USE_CASE) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        try:
            return [
                json.loads(answer)
                for answer in await asyncio.gather(
                    *(batcher.put(Question(USE_CASE, validated(schema, rows))) for rows in requests)
                )
            ]
        finally:
            batcher.stop()
            stores.stop()

    return asyncio.run(run())


@pytest.mark.parametrize("way", ["one row each", "one request", "thread"])
def test_the_champion_answers_what_the_challenger_cannot_score(
    world: World, slot: ModelSlot, way: str
) -> None:
    broken: Any = slot.in_force().arms[1].model.scorer
    rows = world.rows[:ROWS]
    counted = ARM_FALLBACKS.labels(USE_CASE, "challenger", "2")._value.get()
    if way == "one row each":
        requests = [[row] for row in rows]
    else:
        requests = [rows * 3 if way == "thread" else rows]
        assert (len(requests[0]) > LOOP_ROWS) is (way == "thread")
    answers = ask(world, slot, requests)
    predictions = [
        {"model_version": answer["model_version"], **prediction}
        for answer in answers
        for prediction in answer["predictions"]
    ]
    asked = [row for request in requests for row in request]
    by_id = {row["prediction_id"]: row for row in logged_rows(world.settings).to_dicts()}
    logged = [by_id[prediction["prediction_id"]] for prediction in predictions]
    assert {row["plan"] for row in logged} == {SEQUENCE}
    assert {row["arm"] for row in logged} == {"champion", "challenger"}
    failed = 0
    for row, sent, prediction in zip(logged, asked, predictions, strict=True):
        fails = row["arm"] == "challenger" and sent["tailnum"] in broken.planes
        version = 2 if row["arm"] == "challenger" and not fails else 1
        assert row["fallback"] == ("ZeroDivisionError: no wings" if fails else None)
        assert row["model_version"] == prediction["model_version"] == version
        assert row["model_digest"] == world.digests[version]
        failed += fails
    assert 0 < failed < len(asked)
    assert ARM_FALLBACKS.labels(USE_CASE, "challenger", "2")._value.get() == counted + failed
