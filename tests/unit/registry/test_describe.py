from __future__ import annotations

from include.registry.describe import version_description, version_tags
from include.verdict import Finding, GateVerdict

FINDINGS = (
    Finding(
        rule="auc",
        metric="auc",
        subject="test",
        limit=0.6,
        observed=0.71234,
        passed=True,
        reason="within",
    ),
    Finding(
        rule="slices",
        metric="x",
        subject="test",
        part="a=1",
        limit=0.1,
        observed=0.2,
        passed=False,
        reason="a|b",
    ),
    Finding(
        rule="slices",
        metric="x",
        subject="test",
        part="a=2",
        limit=0.1,
        passed=True,
        judged=False,
        reason="small",
    ),
)
TAGS = {
    "flightdeck.trigger": "asset",
    "flightdeck.snapshot_digest": "abc",
    "mlflow.user": "somebody",
}


def test_the_page_shows_refusals_first_and_does_not_count_what_was_not_judged():
    page = version_description(
        GateVerdict(findings=FINDINGS, champion_version=4),
        TAGS,
        {"test.auc": 0.71234, "train.auc": 0.8},
    )
    assert page.startswith("## Refused")
    assert "1 of 2 checks passed in 2 gates, 1 were not judged" in page
    assert "Compared with champion version 4." in page
    assert page.index("**refused**") < page.index(
        "| auc | auc | test | all | 0.6 | 0.71234 | passed |"
    )
    assert "| a=2 | 0.1 | - | not judged |" in page
    assert "a\\|b" in page
    assert "| auc | 0.8 | - | 0.71234 |" in page


def test_tags_hold_one_outcome_per_gate_and_the_runs_own_tags_without_their_prefix():
    tags = version_tags(GateVerdict(findings=FINDINGS), TAGS, "d")
    assert tags == {
        "digest": "d",
        "decision": "refused",
        "gate.auc": "passed",
        "gate.slices": "refused",
        "champion_compared": "none",
        "trigger": "asset",
        "snapshot_digest": "abc",
    }


def test_the_metrics_are_those_that_the_problem_has():
    page = version_description(
        GateVerdict(), {}, {"train.rmse": 30.5, "test.rmse": 33.25, "test.n": 10.0}
    )
    assert "| rmse | 30.5 | - | 33.25 |" in page
    assert "| auc |" not in page
