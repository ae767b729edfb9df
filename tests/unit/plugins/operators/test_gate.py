from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from include.errors import LedgerBroken
from include.steps import Decision, StepContext, StepResult
from include.verdict import Finding
from plugins.links import MLFLOW_RUN
from plugins.operators.gate import GateOperator
from plugins.operators.step import StepOperator
from plugins.refusal import LINE_CHARACTERS, Refusal
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


def find_a_broken_ledger(context: StepContext) -> Fact:
    raise LedgerBroken("tail cut", 4, "The ledger is broken: it ends with row 3.")


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
    assert refused.value.code == told
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


class Judged(Decision):
    """A decision with the findings that it follows from."""

    findings: tuple[Finding, ...]


def judge(context: StepContext) -> Judged:
    many = [Finding(rule="slice_calibration", part=f"s{n}", passed=True) for n in range(60)]
    open_question = Finding(rule="auc", passed=True, judged=False, reason="too few rows")
    return Judged(accepted=True, reasons=(), findings=(*many, open_question))


def test_findings_are_logged_as_a_table_that_needs_no_sideways_scroll(capsys):
    task = operator(GateOperator, "judge")
    task.operator_extra_links = (MLFLOW_RUN,)
    task.execute(task_context(window=APRIL))
    lines = [
        re.sub(r"^\S+ \[info *\] (.*?) *\[airflow\.task.*$", r"\1", line)
        for line in capsys.readouterr().out.splitlines()
        if "[info" in line
    ]
    start = lines.index("findings: 61")
    assert lines[start + 1 : start + 4] == [
        "  rule                   passed     refused  not judged",
        "  slice_calibration          60           -           -",
        "  auc                         -           -           1",
    ]
    assert "reasons: []" not in lines
    assert all(len(line) <= LINE_CHARACTERS for line in lines)


@pytest.mark.parametrize("kind", [StepOperator, GateOperator])
def test_a_broken_release_ledger_is_refused_at_once(kind):
    with pytest.raises(Refusal, match="it ends with row 3"):
        operator(kind, "find_a_broken_ledger").execute(task_context(window=APRIL))
