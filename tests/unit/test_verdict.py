"""A verdict follows from its findings alone, fails closed, and reads the same in every form."""

import json

import pytest
from pydantic import ValidationError

from include.verdict import (
    DATA_COLUMNS,
    GATE_COLUMNS,
    NOTHING_JUDGED,
    Finding,
    Verdict,
    as_html,
    as_markdown,
    as_text,
    at_least,
    at_most,
)

GOOD = at_most("brier", "brier", 0.2, 0.1, subject="test")
BAD = at_least("auc", "auc", 0.7, 0.6, subject="test", part="origin=EWR")
SMALL = Finding(
    rule="brier", subject="test", part="origin=LGA", passed=True, judged=False, reason="too small"
)
NULLS = Finding(
    rule="nulls",
    subject="raw/flights",
    part="dest",
    limit="at most 0.00% nulls",
    observed="3 of 20 rows",
    passed=False,
    example={"dest": None, "origin": "<b>|"},
)


def test_one_refused_finding_refuses_and_what_is_not_judged_decides_nothing() -> None:
    assert Verdict(findings=(GOOD, SMALL)).accepted
    verdict = Verdict(findings=(GOOD, SMALL, BAD))
    assert not verdict.accepted
    assert verdict.refused == [BAD]
    assert verdict.not_judged == [SMALL]


@pytest.mark.parametrize("findings", [(), (SMALL,)])
def test_nothing_judged_is_a_refusal(findings: tuple[Finding, ...]) -> None:
    verdict = Verdict(findings=findings)
    assert not verdict.accepted
    assert verdict.reasons == [NOTHING_JUDGED]


@pytest.mark.parametrize(("limit", "value"), [(None, 0.1), (0.1, None), (0.1, float("nan"))])
def test_a_missing_value_or_limit_refuses(limit: float | None, value: float | None) -> None:
    assert not at_most("brier", "brier", limit, value).passed
    assert not at_least("brier", "brier", limit, value).passed


def test_a_verdict_from_json_is_decided_anew() -> None:
    content = json.loads(Verdict(findings=(BAD,)).model_dump_json())
    assert content["accepted"] is False
    assert content["reasons"] == [BAD.sentence]
    again = Verdict.model_validate({**content, "accepted": True, "reasons": []})
    assert again == Verdict(findings=(BAD,))
    assert not again.accepted


def test_findings_never_change() -> None:
    with pytest.raises(ValidationError):
        GOOD.passed = False


def test_sentences_say_every_fact() -> None:
    assert BAD.sentence == (
        "auc (auc, test, origin=EWR): observed 0.6, threshold 0.7: below the threshold"
    )
    assert NULLS.sentence == (
        "raw/flights.dest: nulls: expected at most 0.00% nulls, observed 3 of 20 rows"
    )
    whole = Finding(rule="drift", passed=False, reason="Ten inputs have drifted.")
    assert whole.sentence == "Ten inputs have drifted."


def test_rows_have_the_names_that_their_readers_know() -> None:
    assert GOOD.as_row(GATE_COLUMNS) == {
        "gate": "brier",
        "metric": "brier",
        "split": "test",
        "slice": "",
        "threshold": 0.2,
        "observed": 0.1,
        "passed": True,
        "reason": "within the threshold",
    }
    assert NULLS.as_row(DATA_COLUMNS)["expected"] == "at most 0.00% nulls"


def test_every_form_shows_what_refuses_first_and_escapes_what_it_shows() -> None:
    assert as_text([GOOD, BAD]).splitlines()[0] == f"refused: {BAD.sentence}"
    table = as_markdown([GOOD, SMALL, BAD], GATE_COLUMNS).splitlines()
    assert table[0] == "| gate | metric | split | slice | threshold | observed |  | reason |"
    assert "**refused**" in table[2]
    assert "not judged" in table[4]
    assert len(as_markdown([GOOD, SMALL, BAD], GATE_COLUMNS, most=1).splitlines()) == 3
    page = as_html([NULLS], DATA_COLUMNS)
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "\\|" in as_markdown([NULLS], DATA_COLUMNS)
