"""One data set measured: which honest intervals the proposed specification refuses, and which
planted faults it catches.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl

from include.interval import Interval
from include.settings import load_settings
from include.verdict import Finding
from proofs.bench.defaults.faults import FAULTS, Situation
from proofs.bench.defaults.history import Frames, History, broken, proposed_use_case
from proofs.bench.defaults.sets import CASES

SEED = 7


@dataclass
class Refusals:
    """How many honest intervals were judged and refused, and by which rule of which column."""

    intervals: int = 0
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)

    def add(self, failures: Sequence[Finding]) -> None:
        """Count one interval."""
        self.intervals += 1
        self.refused += bool(failures)
        self.rules.update(f"{item.part or item.subject} {item.rule}" for item in failures)
        self.sentences += [item.sentence for item in failures]


@dataclass
class Measured:
    """What was measured of one data set.

    `same` counts the intervals that the limits were proposed from, `later` those after the first
    half where it alone proposed them. `planted` holds, by fault, the rules that each planted one
    broke and the honest delivery did not.
    """

    name: str
    title: str
    same: Refusals = field(default_factory=Refusals)
    later: Refusals = field(default_factory=Refusals)
    planted: dict[str, list[list[str]]] = field(default_factory=dict)


def measure_set(name: str, damaged: int) -> Measured:
    """Judge every interval, twice (limits from all rows, limits from the first half), and plant
    every fault in `damaged` intervals, evenly spread over those that have one before them.
    """
    case = CASES[name]
    measured = Measured(name, case.title)
    with tempfile.TemporaryDirectory(prefix="bench-defaults-") as text:
        folder, rows = Path(text), case.read()
        history = _history(name, rows, folder / "all")
        intervals = history.intervals
        chosen = set(np.linspace(1, len(intervals) - 1, damaged).round().astype(int).tolist())
        for number, situation in _walk(history, intervals):
            honest = history.judge(situation.frames, situation.interval)
            measured.same.add(honest)
            if number in chosen:
                _plant(measured, history, situation, number, honest)
        half = intervals[len(intervals) // 2].start
        early = _history(name, rows, folder / "half", until=half)
        for _, situation in _walk(early, intervals):
            if situation.interval.start >= half:
                measured.later.add(early.judge(situation.frames, situation.interval))
    return measured


def _history(name: str, rows: pl.DataFrame, folder: Path, until: datetime | None = None) -> History:
    """A home of its own; `until` cuts the rows that the specification is proposed from."""
    case = CASES[name]
    settings = load_settings().model_copy(
        update={"home": folder, "tables_uri": str(folder / "tables")}
    )
    # Times are text here, with the date in front: what is before a date sorts before it.
    known = rows if until is None else rows.filter(pl.col(case.time) < f"{until:%Y-%m-%d}")
    use_case = proposed_use_case(case, known, folder)
    rows.write_parquet(folder / "rows.parquet")
    return History(use_case, settings)


def _walk(history: History, intervals: Sequence[Interval]) -> Iterator[tuple[int, Situation]]:
    """Every interval's delivery, with all before it published, whatever was said of them."""
    before: Frames = {}
    for number, interval in enumerate(intervals):
        frames = history.deliver(interval)
        earlier = intervals[number - 1] if number else interval
        chance = np.random.default_rng([SEED, number])
        yield number, Situation(history.use_case, frames, interval, before, earlier, chance)
        history.publish(frames, interval)
        before = frames


def _plant(
    measured: Measured,
    history: History,
    situation: Situation,
    number: int,
    honest: Sequence[Finding],
) -> None:
    for name, fault in FAULTS.items():
        # Each has chances of its own, so that one more fault changes no other.
        chance = np.random.default_rng([SEED, number, crc32(name.encode())])
        damaged = fault(situation.with_chance(chance))
        if damaged is None:
            continue
        caught = broken(history.judge(damaged, situation.interval)) - broken(honest)
        rules = sorted({rule for _, _, rule in caught})
        measured.planted.setdefault(name, []).append(rules)
