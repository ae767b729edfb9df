"""Each test of the rubric gives a point for records alone, and loses it when they go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.alarms.decisions import after_signal
from include.alarms.records import Alarm
from include.ml_test_score.records import JUnitRun, Records, Review
from include.ml_test_score.rubric import FULL, HALF, NOTHING, SECTIONS, TESTS_IN_SECTION
from include.ml_test_score.score import BEYOND, MEANINGS, RUBRIC, Score, score_of
from include.spec import UseCase
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.alarms.samples import NOON, decayed
from tests.unit.ml_test_score.complete import (
    COMMIT,
    GATES,
    START,
    complete,
    finding,
    gate,
    private,
    row,
    training,
    window,
)

OF_ONE_FEATURE = ("data 2", "data 3")
"""What one feature brings and costs is measured by nothing: no records give their whole points."""


def points(records: Records) -> dict[str, float]:
    return {
        f"{test.section} {test.number}": test.judgement.points for test in score_of(records).tests
    }


def test_it_has_seven_tests_in_each_of_four_sections():
    places = [(test.section, test.number) for test in RUBRIC]
    assert places == [
        (section, number) for section in SECTIONS for number in range(1, TESTS_IN_SECTION + 1)
    ]


def test_a_version_of_which_everything_is_on_record_has_every_point_that_can_be_had():
    assert points(complete()) == {
        test.name: HALF if test.name in OF_ONE_FEATURE else FULL for test in RUBRIC
    }


def test_what_is_not_on_record_gives_nothing_whatever_the_product_can_do():
    bare = Records(use_case=private(), version=3, training=training(3, commit="unknown"))
    scored = score_of(bare)
    # What hides people in the log is the declaration itself.
    assert {test.section + str(test.number) for test in scored.tests if test.judgement.points} == {
        "data5"
    }
    assert all(test.judgement.lacks for test in scored.tests if not test.judgement.points)
    assert scored.points == 0.0
    assert scored.meaning == MEANINGS[0][1]


def declared(**changes: Any) -> UseCase:
    return private().model_copy(update=changes)


def without(*gates: str) -> tuple[dict[str, Any], ...]:
    return tuple(item for item in GATES if item["gate"] not in gates)


def refused(name: str) -> tuple[dict[str, Any], ...]:
    return tuple({**item, "passed": item["gate"] != name} for item in GATES)


def opened() -> Alarm:
    change = after_signal(None, decayed(0), NOON)
    assert change is not None
    return change.alarm


LOOSE = USE_CASE.model_copy(
    update={
        "tables": tuple(
            table.model_copy(
                update={
                    "columns": tuple(
                        column.model_copy(update={"minimum": None, "maximum": None})
                        for column in table.columns
                    )
                }
            )
            for table in USE_CASE.tables
        )
    }
)
OTHER_COMMIT = JUnitRun("unit.xml", "5" * 40, ("test_feature", "test_pipeline"), ())
BROKEN = JUnitRun("unit.xml", COMMIT, (), ("test_features[flight_delays]", "test_pipeline"))

CASES = [
    ("data 1", {"validation": None}, NOTHING, "no verdict"),
    ("data 1", {"validation": {"accepted": False, "reasons": ["late"]}}, NOTHING, "late"),
    ("data 1", {"use_case": LOOSE}, HALF, "distance"),
    ("data 2", {"attributions": ()}, NOTHING, "attributions.json"),
    ("data 2", {"attributions": ({"input": "dest", "share": 0.0},)}, NOTHING, "dest"),
    ("data 3", {"gates": without("latency"), "findings": ()}, NOTHING, "how long"),
    ("data 4", {"gates": without("attribution")}, HALF, "forbidden_inputs"),
    ("data 4", {"gates": without("attribution"), "validation": None}, NOTHING, "forbidden_inputs"),
    ("data 5", {"use_case": USE_CASE}, HALF, "owner"),
    ("data 5", {"use_case": declared(serving=USE_CASE.serving)}, NOTHING, "for ever"),
    ("data 5", {"use_case": declared(tables=USE_CASE.tables)}, NOTHING, "hashed"),
    ("data 6", {"former": ()}, NOTHING, "first version"),
    (
        "data 6",
        {"former_inputs": {2: frozenset(i.name for i in USE_CASE.inputs)}},
        NOTHING,
        "added",
    ),
    ("data 6", {"review": Review(START - timedelta(days=90))}, HALF, "30 days"),
    ("data 7", {"junit": ()}, NOTHING, "<home>/tests"),
    ("data 7", {"junit": (OTHER_COMMIT,)}, NOTHING, "<home>/tests"),
    ("data 7", {"junit": (BROKEN,)}, NOTHING, "failed"),
    ("model 1", {"training": training(3, commit=f"{COMMIT}-dirty")}, NOTHING, "no commit"),
    ("model 1", {"review": Review(START)}, HALF, "Reviewed-by"),
    ("model 1", {"review": None}, HALF, "git"),
    ("model 2", {"windows": (window(3, 0, None),)}, NOTHING, "labelled"),
    ("model 2", {"windows": (window(3, 0, 0.7),)}, HALF, "correlation"),
    (
        "model 2",
        {"windows": tuple(window(number, 0, 0.9 - 0.1 * number) for number in (1, 2, 3))},
        HALF,
        "rank",
    ),
    ("model 3", {"trials": ({"number": 0},)}, NOTHING, "compared"),
    ("model 4", {"windows": ()}, NOTHING, "decays"),
    ("model 4", {"windows": (window(3, 0, 0.7),)}, HALF, "curve"),
    ("model 5", {"gates": without("baselines")}, NOTHING, "simpler"),
    ("model 5", {"gates": refused("baselines")}, HALF, "refused"),
    ("model 6", {"gates": without("slice_brier")}, NOTHING, "slice"),
    ("model 6", {"gates": (gate("slice_brier", slice="a", observed=None),)}, NOTHING, "slice"),
    ("model 7", {"gates": without("fairness")}, NOTHING, "groups"),
    ("infrastructure 1", {"reproduced": {}}, NOTHING, "flightdeck reproduce"),
    ("infrastructure 1", {"reproduced": {3: "different"}}, NOTHING, "different"),
    ("infrastructure 1", {"reproduced": {3: "identical"}}, HALF, "no other version"),
    ("infrastructure 2", {"junit": (OTHER_COMMIT,)}, NOTHING, "<home>/tests"),
    ("infrastructure 3", {"pipelines": ()}, NOTHING, "bundle deploy"),
    ("infrastructure 4", {"gates": ()}, NOTHING, "gates.json"),
    (
        "infrastructure 4",
        {"gates": refused("latency"), "ledger": (row(1, "override", 3, reason="for now"),)},
        NOTHING,
        "for now",
    ),
    ("infrastructure 5", {"explained": 0}, NOTHING, "attribution_rows.json"),
    ("infrastructure 6", {"ledger": ()}, NOTHING, "never released"),
    ("infrastructure 6", {"ledger": (row(1, "promoted", 3),)}, HALF, "first version"),
    (
        "infrastructure 6",
        {"ledger": (row(1, "promoted", 2), row(2, "promoted", 3))},
        NOTHING,
        "compared",
    ),
    ("infrastructure 7", {"ledger": (row(1, "promoted", 3),)}, NOTHING, "flightdeck rollback"),
    (
        "infrastructure 7",
        {"ledger": (row(1, "rolled_back", 3, evidence={}, actor="ann"),)},
        HALF,
        "by hand",
    ),
    ("monitoring 1", {"sent": ()}, HALF, "alarms sinks"),
    ("monitoring 1", {"sent": (), "findings": ()}, NOTHING, "monitored"),
    ("monitoring 2", {"findings": ()}, HALF, "monitored"),
    ("monitoring 2", {"findings": (), "validation": None}, NOTHING, "monitored"),
    ("monitoring 3", {"parity": ()}, NOTHING, "offline"),
    ("monitoring 4", {"windows": ()}, NOTHING, "monitored"),
    ("monitoring 4", {"alarms": (opened(),)}, HALF, "alarm is open"),
    ("monitoring 5", {"gates": without("perturbation", "missing_values")}, NOTHING, "gate"),
    ("monitoring 5", {"gates": without("perturbation")}, HALF, "perturbation"),
    ("monitoring 6", {"seconds": {3: 70.0}}, HALF, "no training before"),
    ("monitoring 6", {"seconds": {2: 10.0, 3: 70.0}}, HALF, "as long"),
    ("monitoring 6", {"seconds": {}, "findings": ()}, NOTHING, "endpoint"),
    (
        "monitoring 6",
        {"findings": (finding("efficiency", "throughput", outcome="refused"),)},
        HALF,
        "throughput",
    ),
    ("monitoring 7", {"windows": ()}, NOTHING, "monitored"),
    ("monitoring 7", {"windows": (window(3, 0, None),)}, HALF, "labels"),
    ("monitoring 7", {"windows": (window(3, 0, None, estimated=None),)}, NOTHING, "estimate"),
]


@pytest.mark.parametrize(
    ("name", "changes", "expected", "why"),
    CASES,
    ids=[f"{name}, {', '.join(changes)}, {why}" for name, changes, _, why in CASES],
)
def test_what_goes_takes_its_points_along_and_says_why(name, changes, expected, why):
    (test,) = (test for test in RUBRIC if test.name == name)
    judgement = test.judge(complete(**changes))
    assert judgement.points == expected
    assert why in judgement.lacks


def test_every_test_of_the_rubric_can_lose_its_points():
    assert {name for name, _, expected, _ in CASES if expected == NOTHING} == {
        test.name for test in RUBRIC
    }


def test_the_score_is_the_least_section():
    score = score_of(complete(junit=(), pipelines=(), reproduced={}))
    assert {name: score.section(name) for name in SECTIONS} == {
        "data": 5.0,
        "model": 7.0,
        "infrastructure": 4.0,
        "monitoring": 7.0,
    }
    assert score.points == 4.0
    assert "mission-critical" in score.meaning


@pytest.mark.parametrize(
    ("lost", "meaning"), [(0, BEYOND), (2, MEANINGS[4][1]), (7, MEANINGS[0][1])]
)
def test_the_meaning_follows_from_the_score(lost, meaning):
    tests = score_of(complete()).tests
    less = [
        replace(test, judgement=replace(test.judgement, points=NOTHING))
        if test.section == "model" and test.number <= lost
        else test
        for test in tests
    ]
    assert Score("flight_delays", 3, tuple(less)).meaning == meaning
