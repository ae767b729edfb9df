"""A segment that is not there: noticed against the champion's training data, and against the
declaration where there is no champion.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.evaluation.gates.base import GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.gates.segments import declared_values
from include.evaluation.slices import reference_segments
from tests.unit.evaluation.gates.candidates import ROWS, candidate, fitted
from tests.unit.model.synthetic import USE_CASE


def known(given: GateInput, **shares: float) -> GateInput:
    assert given.champion is not None
    return replace(given, champion=replace(given.champion, segments={"depot": shares}))


def refused_segments(given: GateInput) -> list[tuple[str, float]]:
    return [
        (row.part, row.observed)
        for row in run_gates(given).findings
        if row.rule == "segments" and not row.passed
    ]


def without_part(given: GateInput, value: str) -> GateInput:
    return replace(given, slices=[part for part in given.slices if part.value != value])


def test_the_shares_of_the_champions_training_data_are_read_from_its_reference():
    model, _ = fitted()
    shares = reference_segments(model.transform, model.reference)
    assert set(shares) == {"depot"}
    assert set(shares["depot"]) == {"east", "north", "west"}
    assert sum(shares["depot"].values()) == pytest.approx(1.0)


def test_a_segment_of_the_champion_without_test_rows_is_refused_by_name():
    given = candidate(1.0, champion_quality=0.5)
    thirds = {"east": 1 / 3, "north": 1 / 3, "west": 1 / 3}
    assert refused_segments(known(given, **thirds)) == []
    gone = known(without_part(given, "west"), **thirds)
    assert refused_segments(gone) == [("depot=west", 0.0)]
    assert any(
        "segments" in reason and "depot=west" in reason and "1000 rows" in reason
        for reason in run_gates(gone).reasons
    )


def test_a_segment_that_has_all_but_vanished_is_refused_and_a_small_one_is_not():
    given = candidate(1.0, champion_quality=0.5)
    few = [replace(part, rows=49) if part.value == "west" else part for part in given.slices]
    assert refused_segments(known(replace(given, slices=few), east=0.6, north=0.3, west=0.1)) == [
        ("depot=west", 49.0)
    ]
    assert (
        refused_segments(known(replace(given, slices=few), east=0.6, north=0.38, west=99 / ROWS))
        == []
    )
    assert (
        refused_segments(known(without_part(given, "west"), east=0.6, north=0.38, west=99 / ROWS))
        == []
    )


def test_without_a_champion_the_declared_values_must_be_there():
    assert declared_values(USE_CASE, "depot") == ("east", "north", "west")
    assert declared_values(USE_CASE, "pickup_hour") == ()
    assert refused_segments(candidate()) == []
    assert refused_segments(without_part(candidate(), "north")) == [("depot=north", 0.0)]
