"""What a stage of a rollout writes into its log."""

from __future__ import annotations

from typing import Any

from include.verdict import Finding
from plugins.operators.rollout import look_lines

FINDINGS = (
    Finding(rule="errors", passed=True, metric="error_rate", observed=0.0, limit=0.01, reason="r"),
    Finding(rule="scores", passed=False, metric="score_psi", observed=4.5678, limit=0.5),
    Finding(rule="slices", passed=True, judged=False, metric="rows", observed=3, part="origin=JFK"),
)


def look(**verdict: Any) -> dict[str, Any]:
    findings = [finding.model_dump(mode="json") for finding in FINDINGS]
    return {
        "stage": "shift_to_5_percent",
        "plan": 7,
        "verdict": {"findings": findings, **verdict},
    }


def test_what_was_compared_is_a_table_with_what_refuses_first() -> None:
    versions = {"champion_version": 1, "challenger_version": 3, "challenger_rows": 1234}
    assert look_lines(look(**versions)) == [
        "shift_to_5_percent under plan 7: version 3 (1,234 rows) against version 1",
        "  question            metric      observed  limit  outcome",
        "  scores              score_psi   4.568     0.5    refused",
        "  errors              error_rate  0         0.01   passed",
        "  slices, origin=JFK  rows        3         -      not judged",
    ]


def test_a_persons_decision_names_no_rows() -> None:
    assert look_lines(look())[0] == "shift_to_5_percent under plan 7"
    assert look_lines({"stage": "s", "plan": None, "verdict": {"findings": []}}) == ["s"]
