"""What router and plan take of an answer, in process:

`python -m proofs.bench.serving.routing HOME` prints microseconds of processor time an answer, by
the way in which its arm was picked, as one JSON object.

All ways answer the same requests by the same loaded package, sixteen at a time, in turns.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

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
from serving.scoring.served_model import ServedModel

CALLERS, ANSWERS, ROUNDS = 16, 60, 15
PAIRS = (("one arm", "fixed"), ("two arms", "noted"), ("two arms", "one arm"))
NAME = "flight_delays"


class Fixed:
    """Nothing is picked: what the router costs is what it costs more than this."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm

    def pick(self, _question: Question) -> Picked:
        """Return the arm."""
        return self.arm


class Noted:
    """The arm of each unit is known beforehand: what hashing costs is what it costs more."""

    def __init__(self, router: Router, rows: list[dict[str, Any]]) -> None:
        self.arms: dict[str, Picked] = {
            _unit(row): router.pick(Question(NAME, [row])) for row in rows
        }

    def pick(self, question: Question) -> Picked:
        """Return the noted arm of the only row."""
        return self.arms[_unit(question.rows[0])]


def _unit(row: dict[str, Any]) -> str:
    return f"{row['carrier']} {row['origin']} {row['dest']} {row['tailnum']}"


def main() -> None:
    """Measure the home of the environment."""
    settings, use_case = load_settings(), load_use_case(NAME)
    rows = [
        typed(use_case, json.loads(line)["rows"][0])
        for line in (settings.home / "lookup.jsonl").read_text().splitlines()
    ]
    rows = [{use_case.id_column: None, **row} for row in rows]
    print(json.dumps(asyncio.run(_measure(settings, use_case, rows))))


async def _measure(
    settings: Settings, use_case: UseCase, rows: list[dict[str, Any]]
) -> dict[str, float]:
    one, two = ModelSlot(settings, use_case), ModelSlot(settings, use_case)
    one.restore()
    served = one.served()
    _share(two, use_case, served)
    alone, split = PlanRouter({NAME: one}), PlanRouter({NAME: two})
    ways: dict[str, Router] = {
        "fixed": Fixed(one.in_force().champion),
        "one arm": alone,
        "noted": Noted(split, rows),
        "two arms": split,
    }
    stores = OnlineStores(settings, {NAME: use_case})
    stores.start()
    while not stores.is_open(NAME):
        await asyncio.sleep(0.05)
    batchers = {way: Batcher(settings, {NAME: use_case}, ways[way], stores) for way in ways}
    for batcher in batchers.values():
        batcher.log.tend()
        batcher.start()
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, batcher in batchers.items():
            seconds = await _answer(batcher, rows)
            if number:  # the first round warms up
                took[way].append(seconds)
    for batcher in batchers.values():
        batcher.stop()
    stores.stop()
    return {
        **{way: statistics.median(values) for way, values in took.items()},
        **{
            f"{way} to {other}": statistics.median(
                [more / less for more, less in zip(took[way], took[other], strict=True)]
            )
            for way, other in PAIRS
        },
    }


def _share(slot: ModelSlot, use_case: UseCase, served: ServedModel) -> None:
    """Have two arms of the same package answer, so that only the split differs."""
    other = ServedModel(
        served.version + 1, served.digest, served.since, served.model, served.scorer
    )
    plan = Plan(
        use_case=NAME,
        sequence=1,
        arms=(
            PlannedArm(role="champion", version=served.version, digest=served.digest, share=0.5),
            PlannedArm(role="challenger", version=other.version, digest=other.digest, share=0.5),
        ),
        unit=use_case.serving.entity_keys,
        salt=NAME,
        decided_by="",
    )
    slot.traffic = open_traffic(
        IssuedPlan(plan),
        {(served.version, served.digest): served, (other.version, other.digest): other},
    )


async def _answer(batcher: Batcher, rows: list[dict[str, Any]]) -> float:
    """Microseconds of processor time an answer, sixteen callers asking as soon as answered."""

    async def call(caller: int) -> None:
        for number in range(ANSWERS):
            row = rows[(caller * ANSWERS + number) % len(rows)]
            await batcher.put(Question(NAME, [dict(row)]))

    started = time.process_time()
    await asyncio.gather(*(call(caller) for caller in range(CALLERS)))
    return (time.process_time() - started) / (CALLERS * ANSWERS) * 1e6


if __name__ == "__main__":
    main()
