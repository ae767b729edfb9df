"""`make refusals`: what its rows mean, and a few of its cases through the wired DAGs."""

from __future__ import annotations

import json

import pytest

from cli.refusals.case import Case
from cli.refusals.cases import CASES
from cli.refusals.dag_runs import DagRunResult
from cli.refusals.main import main
from cli.refusals.verdict import Outcome, outcome_of

RANGE = {"accepted": False, "reasons": ["too high"], "failures": [{"rule": "range"}]}
GATES = {"accepted": False, "reasons": ["low"], "rows": [{"gate": "brier", "passed": True}, {"gate": "auc", "passed": False}]}


def finished(task: str, result: object) -> DagRunResult:
    return DagRunResult("run", "failed", {"open_run": "success", task: "failed"}, {task: result})


def test_a_refusal_names_its_rule_and_sentence():
    assert outcome_of(finished("validate_data", RANGE)) == Outcome("refused", ("validate_data: range",), ("too high",))
    assert outcome_of(finished("check_gates", GATES)) == Outcome("refused", ("check_gates: auc",), ("low",))
    assert outcome_of(DagRunResult("run", "success", {"check_gates": "success"}, {})).seen == "passed"


def test_a_failure_without_a_verdict_or_with_something_published_is_no_refusal():
    crashed = outcome_of(finished("train_model", None))
    assert (crashed.seen, crashed.reasons) == ("broken", ("failed without a verdict: ['train_model']",))
    leaked = outcome_of(finished("validate_data", RANGE), leaked=["raw/flights"])
    assert leaked.seen == "broken"
    assert "raw/flights" in leaked.reasons[0]


def test_a_case_holds_only_when_its_own_rule_refuses():
    case = Case("bad", ("check_gates: auc",), lambda world: Outcome("passed"))
    assert case.holds(Outcome("refused", ("check_gates: brier", "check_gates: auc"), ("b", "a")))
    assert case.reason(Outcome("refused", ("check_gates: brier", "check_gates: auc"), ("b", "a"))) == "a"
    assert not case.holds(Outcome("refused", ("check_gates: brier",), ("b",)))
    assert not case.holds(Outcome("passed"))
    assert not case.holds(Outcome("broken"))


def test_every_case_names_its_rule_and_one_passes():
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.name for case in CASES if case.expected == "passed"] == ["good model"]
    assert all(case.gates for case in CASES if case.expected == "refused")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_table_of_a_few_cases(tmp_path, capfd):
    names = ["-999 sentinels", "tampered artefact"]
    path = tmp_path / "refusals.json"
    assert main([*(word for name in names for word in ("--only", name)), "--lanes", "1", "--table", str(path)]) == 0
    rows = json.loads(path.read_text())
    assert [(row["case"], row["expected"], row["seen"]) for row in rows] == [(name, "refused", "refused") for name in names]
    assert [row["gate"] for row in rows] == ["validate_data: range", "check_gates: evaluated_object"]
    assert "-999.0" in rows[0]["reason"]
    assert all(row["seconds"] > 0 for row in rows)
    assert "2 of 2 as expected" in capfd.readouterr().out
