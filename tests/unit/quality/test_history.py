"""Limits that a use case's own history asks for: each with its figure, and enough of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from include.quality.history import History, Proposal, rounded_up
from include.spec import Column, UseCase
from include.spec.times import intervals_between
from include.use_cases.flight_delays.spec import USE_CASE

START = USE_CASE.schedule.start
MONTHS = intervals_between("@monthly", START, START.replace(month=4))
WEATHER = "raw/weather"
ROWS = 1500
WARMER = (40.0, 50.0, 90.0)
"""The mean temperature of each month: the last is far from both of those before it."""


def changed(use_case: UseCase, columns: dict[str, dict[str, object]]) -> UseCase:
    """The use case with other limits of some columns of the weather."""

    def other(column: Column) -> Column:
        return column.model_copy(update=columns.get(column.name, {}))

    tables = [
        part.model_copy(update={"columns": tuple(map(other, part.columns))})
        if part.name == WEATHER
        else part
        for part in use_case.tables
    ]
    return use_case.model_copy(update={"tables": tuple(tables)})


def weather(month: int) -> pl.DataFrame:
    noise = np.random.default_rng(month).normal(0.0, 5.0, ROWS)
    temperature = np.clip(noise, -12.0, 12.0) + WARMER[month]
    origins = ["EWR", "JFK", "LAX" if month == 2 else "LGA"] * (ROWS // 3)
    return pl.DataFrame({"temperature": temperature, "origin": origins})


def proposals_of(use_case: UseCase) -> list[Proposal]:
    history = History(use_case)
    for number, interval in enumerate(MONTHS):
        frames = {table.name: pl.DataFrame() for table in use_case.tables}
        history.add(interval, frames | {WEATHER: weather(number)})
    assert history.intervals == len(MONTHS)
    return [item for item in history.proposals() if item.where.startswith(WEATHER)]


def applied(use_case: UseCase, proposals: Sequence[Proposal]) -> UseCase:
    for item in proposals:
        column = item.where.removeprefix(f"{WEATHER}.")
        use_case = changed(use_case, {column: {item.field: float(item.proposed)}})
    return use_case


def test_limits_that_the_history_breaks_are_proposed_with_their_figures_and_then_hold():
    narrow = changed(USE_CASE, {"temperature": {"minimum": 35.0, "maximum": 60.0}})
    proposals = {(item.where, item.field): item for item in proposals_of(narrow)}
    cold = proposals[f"{WEATHER}.temperature", "minimum"]
    warm = proposals[f"{WEATHER}.temperature", "maximum"]
    moved = proposals[f"{WEATHER}.temperature", "max_shift"]
    unseen = proposals[f"{WEATHER}.origin", "unseen_share"]
    assert (cold.declared, cold.proposed, cold.breaks) == ("35", "0", 1)
    assert (warm.declared, warm.breaks) == ("60", 2)
    assert float(warm.proposed) > 90
    assert "most of 3, in the interval from 2013-03-01 00:00" in warm.figure
    assert "least of 3, in the interval from 2013-01-01 00:00" in cold.figure
    assert (moved.declared, moved.breaks) == ("2.5", 1)
    assert "in the interval from 2013-03-01" in moved.figure
    assert unseen.breaks == 1
    assert "values 'LAX'" in unseen.figure
    assert proposals_of(applied(narrow, list(proposals.values()))) == []


def test_a_number_without_bounds_gets_those_of_its_history_and_no_refusal_is_counted():
    free = changed(USE_CASE, {"temperature": {"minimum": None, "maximum": None}})
    bounds = {
        item.field: item for item in proposals_of(free) if item.field in ("minimum", "maximum")
    }
    assert [(item.declared, item.breaks) for item in bounds.values()] == [("none", 0)] * 2
    assert float(bounds["minimum"].proposed) == 0.0
    assert float(bounds["maximum"].proposed) > 100


@pytest.mark.parametrize(
    ("value", "rounded"), [(0.1712, 0.18), (113.0, 120.0), (0.5, 0.5), (2.0, 2.0), (0.0, 0.0)]
)
def test_a_limit_is_rounded_up_to_two_digits(value: float, rounded: float):
    assert rounded_up(value) == rounded
