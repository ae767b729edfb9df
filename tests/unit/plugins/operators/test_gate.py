from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.steps import Decision, StepContext, StepResult
from plugins.operators.gate import GateOperator
from plugins.operators.step import StepOperator
from plugins.refusal import Refusal
from tests.unit.plugins.task_context import task_context

APRIL = (datetime(2013, 4, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC))


class Fact(StepResult):
    """A result that decides nothing."""

    rows: int


def accept(context: StepContext) -> Decision:
    return Decision(accepted=True, reasons=())


def refuse(context: StepContext) -> Decision:
    return Decision(accepted=False, reasons=("the mean is 9", "the share is 1"))


def decide_nothing(context: StepContext) -> Fact:
    return Fact(rows=3)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))


def operator(kind: type[StepOperator], step: str) -> StepOperator:
    return kind(
        task_id="decide", step=f"{__name__}:{step}", use_case="flight_delays", process="features"
    )


def test_an_accepting_decision_goes_on():
    context = task_context(window=APRIL)
    assert operator(GateOperator, "accept").execute(context)["accepted"] is True
    assert context["ti"].pushed == {}


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("refuse", "The step is refused for 2 reasons."),
        ("decide_nothing", "The step is refused for 1 reason."),
    ],
)
def test_anything_else_is_refused_with_its_result_pushed_before(step, told):
    context = task_context(window=APRIL)
    with pytest.raises(Refusal) as refused:
        operator(GateOperator, step).execute(context)
    assert str(refused.value) == told
    assert context["ti"].pushed["return_value"]


@pytest.mark.parametrize("kind", [StepOperator, GateOperator])
@pytest.mark.parametrize(
    ("context", "told"),
    [
        (
            {"window": (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))},
            (
                "holds no data of flight_delays: its first moment is 2013-01-01 00:00, its last"
                " 2013-12-31 23:00"
            ),
        ),
        ({"window": APRIL, "params": {"until": "next tuesday"}}, "'next tuesday'"),
        ({}, "no data interval"),
    ],
)
def test_what_only_its_author_can_mend_is_refused_at_once(kind, context, told):
    with pytest.raises(Refusal, match=told):
        operator(kind, "accept").execute(task_context(**context))
