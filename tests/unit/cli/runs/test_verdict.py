"""What a run came to is printed whole, at the width of the terminal."""

from __future__ import annotations

import pytest

from cli.runs.arguments import new_run_id
from cli.runs.verdict import Outcome, exit_code, print_outcome, progress

REASON = (
    "raw/weather.temperature: range: expected -40 to 50, observed 311 rows below the minimum,"
    " the smallest -999.0, in a table of 7,204 rows that were delivered for the interval"
)


REPAIRED = {"repaired": 4}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def printed(capsys: pytest.CaptureFixture[str], outcome: Outcome) -> list[str]:
    print_outcome(outcome)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    return lines


def test_every_reason_of_a_refusal_is_whole_at_eighty_columns(capsys):
    refused = Outcome("flights features May", "refused", ("validate_data",), (REASON, "Short one."))
    lines = printed(capsys, refused)
    assert lines[0] == "flights features May: refused by validate_data, for 2 reasons:"
    assert lines[1].startswith("  1. raw/weather.temperature: range:")
    assert lines[-1] == "  2. Short one."
    assert " ".join(" ".join(lines[1:-1]).split()) == f"1. {REASON}"


def test_a_failure_names_its_step(capsys):
    lines = printed(capsys, Outcome("flights training", "failed", ("train_model",), ("Why.",)))
    assert lines == ["flights training: failed in train_model, for 1 reason:", "  1. Why."]


def test_what_was_done_is_told_step_by_step(capsys):
    results = {
        "validate_data": {"accepted": True, "warnings": ["a new column"], "notes": []},
        "publish_tables": {"tables": {"raw/flights": {"rows": 12345}}},
    }
    lines = printed(capsys, Outcome("flights features May", "accepted", results=results))
    assert lines == [
        "flights features May: accepted.",
        "  note       a new column",
        "  published  12,345 rows to raw/flights",
    ]


def test_an_alarm_is_no_refusal_and_is_not_called_accepted(capsys):
    decided = {"alarm": True, "reasons": ["drift: 4 inputs."], "not_judged": [], "facts": {}}
    outcome = Outcome("flights monitoring May", "accepted", results={"decide_alarm": decided})
    lines = printed(capsys, outcome)
    assert lines[:2] == [
        "flights monitoring May: done, with an alarm.",
        "  alarm      drift: 4 inputs.",
    ]
    assert exit_code([outcome]) == 0


def test_what_was_found_and_raises_no_alarm_is_not_called_one(capsys):
    findings = [
        {"rule": "ledger", "passed": True, "reason": "All 4 rows hold."},
        {"rule": "alias", "passed": True, "reason": "It was moved back.", "example": REPAIRED},
        {"rule": "plan", "passed": True, "judged": False, "reason": "It is not there."},
    ]
    decided = {
        "alarm": False,
        "reasons": ["drift: 4 inputs."],
        "not_judged": ["Not judged: performance: no labels."],
        "facts": {"rows": 12},
    }
    results = {"decide_alarm": decided, "check_releases": {"findings": findings}}
    assert printed(capsys, Outcome("flights monitoring May", "accepted", results=results)) == [
        "flights monitoring May: accepted.",
        "  releases   It was moved back.",
        "  releases   It is not there.",
        "  found      drift: 4 inputs.",
        "  not judged performance: no labels.",
        "  figures    rows 12",
    ]


@pytest.mark.parametrize(
    ("positive", "told"), [(None, ""), (0, ", 0 positive decisions")], ids=["no decision", "binary"]
)
def test_decisions_are_told_of_a_model_that_decides(capsys, positive, told):
    results = {
        "publish_predictions": {
            "rows": 1581,
            "version": 1,
            "mean_score": 203.41,
            "positive_decisions": positive,
        }
    }
    lines = printed(capsys, Outcome("births", "accepted", results=results))
    assert lines[-1] == f"  scored     1,581 rows with version 1; mean score 203.4{told}"


def test_a_refused_training_set_is_not_said_to_have_been_trained_on(capsys):
    snapshot = {"rows": 4539, "name": "flights/snapshots/May", "version": 0}
    results = {"build_snapshot": {"snapshot": snapshot}}
    lines = printed(capsys, Outcome("flights", "refused", ("a",), ("Few.",), results))
    assert lines[-1] == "  snapshot   4,539 rows, flights/snapshots/May@0"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["accepted"], 0),
        (["accepted", "refused"], 3),
        (["refused", "failed", "accepted"], 1),
    ],
)
def test_the_exit_code_tells_the_worst(states, code):
    assert exit_code([Outcome("a run", state) for state in states]) == code


def test_progress_keeps_to_the_terminal_s_width_below_its_indentation(capsys):
    say = progress()
    say("a_use_case_with_a_long_name batch_scoring 2013-01-01 00:00 to 2013-02-01 00:00 UTC")
    say("  run command__until-2013-04-01__2026-11-30T01-37-12-a1b2 and what else there is to say")
    assert capsys.readouterr().out.splitlines() == [
        "[00:00] a_use_case_with_a_long_name batch_scoring 2013-01-01 00:00 to 2013-02-01",
        "        00:00 UTC",
        "[00:00]   run command__until-2013-04-01__2026-11-30T01-37-12-a1b2 and what else",
        "          there is to say",
    ]


def test_runs_of_one_second_have_ids_of_their_own():
    assert len({new_run_id("local", "2013-01") for _ in range(4)}) == 4
