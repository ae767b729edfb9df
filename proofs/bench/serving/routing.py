"""What router and plan take of an answer, in process:

`python -m proofs.bench.serving.routing HOME` prints microseconds of processor time an answer, by
the plan of its traffic, and how much more that is, as one JSON object.

All ways answer the same requests by the same loaded package, sixteen at a time, in short turns of
another order each, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np

from include.catalogue import load_use_case
from include.release.plan import IssuedPlan, Plan, PlannedArm
from include.settings import Settings, load_settings
from include.spec import UseCase
from proofs.bench.serving.inprocess import typed
from serving.contract.question import Question
from serving.engine.batcher import Batcher
from serving.models.slots import ModelSlot
from serving.models.traffic import open_traffic
from serving.router.router import PlanRouter, Router
from serving.scoring.arm import Arm, Picked
from serving.scoring.online_stores import OnlineStores
from serving.scoring.scorer import Scorer
from serving.scoring.served_model import ServedModel

CALLERS, ANSWERS, ROUNDS = 16, 4, 200
NAME = "flight_delays"
FIXED, HALVED, ONE, TWO, NEW = "fixed", "halved", "one arm", "two arms", "two arms, new units"
PAIRS = ((ONE, FIXED), (HALVED, FIXED), (TWO, HALVED), (NEW, HALVED))


class Fixed:
    """Nothing is picked: what the router costs is what it costs more than this."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm

    def pick(self, _question: Question) -> Picked:
        """Return the arm."""
        return self.arm


class Halving(Scorer):
    """Scores any rows by two calls of the model, as two arms do: what a second call costs."""

    def score(self, sources: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, list[Any]]:
        """Return the first half's matrix and the scores of both halves; nobody asks for reasons."""
        half = len(sources) // 2
        if not half:
            return super().score(sources)
        matrix, scores = super().score(sources[:half])
        return matrix, scores + super().score(sources[half:])[1]


def main() -> None:
    """Measure the home of the environment."""
    settings, declared = load_settings(), load_use_case(NAME)
    # Waiting for a disk is no processor time, but which way meets it is chance.
    serving = declared.serving.model_copy(update={"log_sync": "second"})
    use_case = declared.model_copy(update={"serving": serving})
    rows = [
        typed(use_case, json.loads(line)["rows"][0])
        for line in (settings.home / "lookup.jsonl").read_text().splitlines()
    ]
    slot = ModelSlot(settings, use_case)
    slot.restore()
    print(json.dumps(asyncio.run(_measure(settings, use_case, slot, rows))))


async def _measure(
    settings: Settings, use_case: UseCase, slot: ModelSlot, rows: list[dict[str, Any]]
) -> dict[str, float]:
    stores = OnlineStores(settings, {NAME: use_case})
    stores.start()
    while not stores.is_open(NAME):
        await asyncio.sleep(0.05)
    ways: dict[str, Router] = {
        FIXED: Fixed(slot.in_force().champion),
        HALVED: Fixed(_halving(use_case, slot.in_force().champion)),
        ONE: PlanRouter({NAME: slot}),
        TWO: _shared(settings, use_case, slot.served(), use_case.serving.entity_keys),
        NEW: _shared(settings, use_case, slot.served(), (use_case.id_column,)),
    }
    batchers = {way: Batcher(settings, {NAME: use_case}, ways[way], stores) for way in ways}
    for batcher in batchers.values():
        batcher.log.tend()
        batcher.start()
    identifiers, order, chance = count(), [*ways], random.Random(7)  # noqa: S311  # an order is no secret
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        chance.shuffle(order)
        for way in order:
            spent = await _answer(batchers[way], use_case.id_column, rows, identifiers)
            if number:  # the first round warms up
                took[way].append(spent)
    for batcher in batchers.values():
        batcher.stop()
    stores.stop()
    return {
        **{way: statistics.median(values) for way, values in took.items()},
        **{
            f"{way} less {other}": statistics.median(
                [more - less for more, less in zip(took[way], took[other], strict=True)]
            )
            for way, other in PAIRS
        },
    }


def _halving(use_case: UseCase, arm: Arm) -> Arm:
    served = arm.model
    scorer = Halving(use_case, served.model)
    scorer.warm_up(1)
    return replace(arm, model=replace(served, scorer=scorer))


def _shared(
    settings: Settings, use_case: UseCase, served: ServedModel, unit: tuple[str, ...]
) -> Router:
    """Two arms of the same package answer, so that only the split differs."""
    slot = ModelSlot(settings, use_case)
    other = replace(served, version=served.version + 1)
    plan = Plan(
        use_case=NAME,
        sequence=1,
        arms=(
            PlannedArm(role="champion", version=served.version, digest=served.digest, share=0.5),
            PlannedArm(role="challenger", version=other.version, digest=other.digest, share=0.5),
        ),
        unit=unit,
        salt=NAME,
        decided_by="",
    )
    slot.traffic = open_traffic(
        IssuedPlan(plan),
        {(served.version, served.digest): served, (other.version, other.digest): other},
    )
    return PlanRouter({NAME: slot})


async def _answer(
    batcher: Batcher, id_column: str, rows: list[dict[str, Any]], identifiers: count[int]
) -> float:
    """Microseconds of processor time an answer, sixteen callers asking as soon as answered.

    Each request has an id of its own, and flights that were asked about before.
    """

    async def call(caller: int) -> None:
        for number in range(ANSWERS):
            row = rows[(caller * ANSWERS + number) % len(rows)]
            await batcher.put(Question(NAME, [{id_column: str(next(identifiers)), **row}]))

    started = time.thread_time()
    await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
    return (time.thread_time() - started) / (CALLERS * ANSWERS) * 1e6


if __name__ == "__main__":
    main()
