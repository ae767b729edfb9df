import pytest

from include.release.analysis.base import AnalysisInput
from include.release.analysis.failures import errors, fallbacks
from include.release.analysis.observed import Comparison
from include.spec import BlueGreen
from tests.unit.release.analysis.windows import (
    case,
    challenger,
    champion,
    observed,
    one,
    release,
    with_steps,
)

QUESTIONS = pytest.mark.parametrize(
    ("question", "count"), [(errors, "errors"), (fallbacks, "fallbacks")]
)


@QUESTIONS
def test_a_version_that_fails_far_more_often_is_refused_with_both_figures(question, count):
    finding = one(question(case(champion(**{count: 95}), challenger(**{count: 40}))))
    assert finding.outcome == "refused"
    assert (finding.observed, finding.limit) == (0.08, 0.01)
    assert "40 of 500 rows of the challenger, 95 of 9,500" in finding.sentence
    assert finding.subject == "version 4 against 3"


@QUESTIONS
def test_the_same_rate_passes(question, count):
    assert (
        one(question(case(champion(**{count: 95}), challenger(**{count: 5})))).outcome == "passed"
    )


@QUESTIONS
def test_a_better_version_passes(question, count):
    assert one(question(case(champion(**{count: 950}), challenger(**{count: 5})))).outcome == (
        "passed"
    )


@pytest.mark.parametrize("rows", [1, 10, 100, 500, 5000])
def test_one_error_of_a_quiet_service_aborts_nothing(rows):
    finding = one(errors(case(champion(rows * 19), challenger(rows, errors=1))))
    assert finding.passed


def test_evidence_that_leans_waits_for_more_requests():
    finding = one(errors(case(champion(errors=95), challenger(errors=12))))
    assert finding.outcome == "not judged"
    assert "more requests will decide" in finding.reason


def test_a_proved_difference_that_nobody_feels_is_no_reason():
    much = case(
        champion(50_000_000, 0.5, errors=500_000), challenger(50_000_000, 0.5, errors=520_000)
    )
    assert one(errors(much)).passed


def test_no_rows_decide_nothing():
    assert one(errors(case(champion(0), challenger(0)))).outcome == "not judged"


def test_evidence_adds_up_over_the_steps_of_a_rollout():
    """Neither step alone refuses; both together do."""
    first = Comparison(champion(errors=95), challenger(errors=12))
    second = Comparison(champion(1_500, 0.75, errors=15), challenger(500, 0.25, errors=13))
    for steps, passed in (((first,), True), ((second,), True), ((first, second), False)):
        finding = one(errors(AnalysisInput(with_steps(*steps), release())))
        assert finding.passed is passed, steps


def test_a_busy_unit_that_fell_on_the_challenger_is_no_bad_version():
    """5 % of the units asked for 30 % of the rows, and fail like all others."""
    finding = one(errors(case(champion(7_000, errors=70), challenger(3_000, errors=30))))
    assert finding.outcome == "passed"


def test_without_a_concurrent_champion_its_rows_before_are_the_measure():
    def after_switch(count):
        step = Comparison(
            champion(5_000, 1.0, errors=50), challenger(1_000, 1.0, errors=count), concurrent=False
        )
        return one(errors(AnalysisInput(with_steps(step), release(BlueGreen()))))

    assert after_switch(10).outcome == "passed"
    assert after_switch(60).outcome == "refused"
    assert "of the champion" in after_switch(60).reason


def test_the_level_is_shared_out_over_the_questions():
    from include.release.analysis.base import ALPHA_SHARES

    assert sum(ALPHA_SHARES.values()) == pytest.approx(1.0)
    assert AnalysisInput(observed(), release(alpha=0.02)).alpha("errors") == pytest.approx(0.0105)
