"""`make refusals`: what its rows mean, and a few of its cases through the wired DAGs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from cli.application import run
from include.settings import PROJECT_ROOT
from proofs.harness.dag_runs import DagRunResult
from proofs.refusals.case import Case
from proofs.refusals.cases import CASES
from proofs.refusals.table import Row, show, write
from proofs.refusals.verdict import Outcome, outcome_of
from proofs.refusals.without import switches

RANGE = {"accepted": False, "reasons": ["too high"], "failures": [{"rule": "range"}]}
GATES = {
    "accepted": False,
    "reasons": ["low"],
    "findings": [{"rule": "brier", "passed": True}, {"rule": "auc", "passed": False}],
}


def finished(task: str, result: object) -> DagRunResult:
    return DagRunResult("run", "failed", {"open_run": "success", task: "failed"}, {task: result})


def test_a_refusal_names_its_rule_and_sentence():
    assert outcome_of(finished("validate_data", RANGE)) == Outcome(
        "refused", ("validate_data: range",), ("too high",)
    )
    assert outcome_of(finished("check_gates", GATES)) == Outcome(
        "refused", ("check_gates: auc",), ("low",)
    )
    assert (
        outcome_of(DagRunResult("run", "success", {"check_gates": "success"}, {})).seen == "passed"
    )


def test_a_failure_without_a_verdict_or_with_something_published_is_no_refusal():
    crashed = outcome_of(finished("train_model", None))
    assert (crashed.seen, crashed.reasons) == (
        "broken",
        ("failed without a verdict: ['train_model']",),
    )
    leaked = outcome_of(finished("validate_data", RANGE), leaked=["raw/flights"])
    assert leaked.seen == "broken"
    assert "raw/flights" in leaked.reasons[0]


def test_a_case_holds_only_when_its_own_rule_refuses():
    case = Case("bad", ("check_gates: auc",), lambda world: Outcome("passed"))
    assert case.holds(Outcome("refused", ("check_gates: brier", "check_gates: auc"), ("b", "a")))
    assert (
        case.reason(Outcome("refused", ("check_gates: brier", "check_gates: auc"), ("b", "a")))
        == "a"
    )
    assert not case.holds(Outcome("refused", ("check_gates: brier",), ("b",)))
    assert not case.holds(Outcome("passed"))
    assert not case.holds(Outcome("broken"))


def test_every_case_names_its_rule_and_one_passes():
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.name for case in CASES if case.expected == "passed"] == ["good model"]
    assert all(case.gates for case in CASES if case.expected == "refused")


def test_a_case_may_ask_for_what_its_rule_must_say():
    case = Case(
        "bad", ("check_gates: fairness",), lambda world: Outcome("passed"), told="true_positive"
    )
    said = Outcome(
        "refused",
        ("check_gates: fairness", "check_gates: fairness"),
        ("selection", "true_positive 0.0"),
    )
    assert case.holds(said)
    assert case.reason(said) == "true_positive 0.0"
    assert not case.holds(Outcome("refused", ("check_gates: fairness",), ("selection",)))


def test_every_case_that_the_table_promises_is_there():
    promised = (
        "renamed column, missing column, retyped column, all-null column, 60 % null column, empty"
        " window, duplicated delivery, unseen category flood, -999 sentinels, shifted distribution,"
        " leaked label, 10 % flipped labels in one slice, too few rows, worse model, equal model,"
        " model worse on one slice only, over-confident model, unfair model, brittle model,"
        " oversized model, slow model, model that cannot load, model that crashes its process at"
        " load, tampered artefact, missing champion metrics, missing segment, arrivals before their"
        " departure, labels known before the departure, weather known before it is observed,"
        " flights twice under different ids, test rows copied into training, good model"
    )
    assert set(promised.split(", ")) <= {case.name for case in CASES}


def test_only_rules_that_there_are_can_be_switched_off(capsys):
    assert {
        "check_gates: brier",
        "validate_data: row rule",
        "validate_snapshot: label leakage",
    } <= set(switches())
    assert run(["refusals", "--only", "worse model", "--without", "check_gates: briar"]) == 2
    assert "did you mean 'check_gates: brier'?" in capsys.readouterr().err
    assert run(["refusals", "--only", "worse models"]) == 2
    assert "there is no case 'worse models'; did you mean 'worse model'?" in capsys.readouterr().err


LONG = Row(
    "model that crashes its process at load",
    "refused",
    "refused",
    "check_gates: runtime_validity",
    "runtime_validity (package): observed a process that ended by itself, threshold one that"
    " answers the golden rows: the child was killed by SIGSEGV while it parsed model.ubj.",
    61.25,
    holds=True,
)


def test_the_table_reads_at_80_columns_and_its_file_holds_every_reason_whole(
    capsys, monkeypatch, tmp_path
):
    wrong = replace(LONG, seen="passed", gate="", reason="", holds=False)
    for columns in (80, 170):
        monkeypatch.setenv("COLUMNS", str(columns))
        show([LONG, wrong])
        printed = capsys.readouterr().out
        assert all(len(line) <= columns for line in printed.splitlines())
        assert printed.count("NOT AS EXPECTED") == 1
        assert columns == 170 or " ".join(LONG.reason.split()) in " ".join(printed.split())
    write([LONG], tmp_path / "refusals.json")
    assert json.loads((tmp_path / "refusals.json").read_text())[0]["reason"] == LONG.reason


def test_a_lane_imports_no_airflow_before_it_has_entered_its_home():
    # Airflow reads its home when it is imported.
    code = "import sys, proofs.refusals.main; print('airflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_few_cases_are_refused_and_one_gets_through_when_its_rule_is_off(tmp_path, capfd):
    names = ["-999 sentinels", "10 % flipped labels in one slice"]
    path = tmp_path / "refusals.json"
    chosen = [word for name in names for word in ("--only", name)]
    # Exit code 1: a case that gets through is a failure of the table, whoever switched its rule
    # off.
    assert (
        run(
            [
                *("refusals", *chosen, "--without", "validate_data: row rule"),
                *("--lanes", "1", "--table", str(path)),
            ]
        )
        == 1
    )
    rows = json.loads(path.read_text())
    assert [(row["case"], row["expected"], row["seen"], row["gate"]) for row in rows] == [
        ("-999 sentinels", "refused", "refused", "validate_data: range"),
        ("10 % flipped labels in one slice", "refused", "passed", ""),
    ]
    assert all(
        set(row) == {"case", "expected", "seen", "gate", "reason", "seconds"} for row in rows
    )
    assert "-999.0" in rows[0]["reason"]
    assert all(row["seconds"] > 0 for row in rows)
    assert "1 of 2 as expected" in capfd.readouterr().out
