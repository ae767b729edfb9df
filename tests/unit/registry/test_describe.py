from __future__ import annotations

import json
import re

from include.registry.describe import Place, refusal_note, version_description, version_tags
from include.registry.page_tables import GAP, worst_first
from include.use_cases.flight_delays.spec import USE_CASE
from include.verdict import Finding, GateVerdict

MLFLOW_KEEPS = 5000
PLACE = Place(USE_CASE, "7", "abc123", "http://127.0.0.1:8080")
TAGS = {
    "flightdeck.trigger": "asset",
    "flightdeck.cause_kinds": "alarm",
    "flightdeck.triggered_by": "monitoring",
    "flightdeck.causes": json.dumps(
        [
            {
                "kind": "alarm",
                "who": "flight_delays__monitoring",
                "reason": "AUC fell by 0.07, < 0.05",
            }
        ]
    ),
    "flightdeck.process": "training",
    "flightdeck.run_id": "asset 2013-05-01",
    "flightdeck.snapshot_digest": "abc",
    "mlflow.user": "somebody",
}
METRICS = {
    "test.auc": 0.71234,
    "train.auc": 0.8,
    "test.champion.auc": 0.69876,
    "golden.auc": 0.7,
    "golden.n": 500.0,
    "test.mean_score": 0.25,
    "test.observed_rate": 0.24,
    "test.ece": 0.03,
}


def finding(rule: str, observed: float | None, limit: float, *, passed: bool = True, **more: str):
    return Finding(
        rule=rule,
        metric=more.pop("metric", rule),
        subject="test",
        limit=limit,
        observed=observed,
        passed=passed,
        judged=observed is not None,
        **more,
    )


AUC = finding("auc", 0.71234, 0.6)
NEAR = finding("brier", 0.239, 0.24)
REFUSED = finding("slice_brier", 0.2, 0.1, passed=False, part="a=<1", reason="a|b")
SMALL = finding("slice_brier", None, 0.1, part="a=2", reason="small")
FAIR = finding("fairness", 0.24, 0.25, part="origin", metric="selection_difference")
GOLDEN = finding("golden", 0.05, 0.0, metric="logloss_gain", reason="of 500 rows")
IMPROVED = finding(
    "champion_improvement", 0.01, 0.002, reason="better than champion version 4; 95 % interval"
)
MANY = tuple(finding("slice_brier", 0.01 * n, -0.5, part=f"p={n}") for n in range(100))


def page(*findings: Finding, champion: int | None = 4, metrics: dict[str, float] = METRICS) -> str:
    verdict = GateVerdict(findings=findings, champion_version=champion)
    text = version_description(verdict, TAGS, metrics, PLACE)
    assert len(text) <= MLFLOW_KEEPS
    assert "### More" in text
    return text.replace(GAP, "")


def section(text: str, heading: str) -> str:
    return text.split(f"### {heading}\n\n")[1].split("\n\n###", maxsplit=1)[0]


def test_a_refusal_begins_with_the_word_and_its_reasons():
    text = page(AUC, REFUSED, SMALL, FAIR)
    assert text.startswith(
        "## Refused by 1 of 3 gates\n\n- slice_brier (slice_brier, test, a=&lt;1)"
    )
    assert "2 of 3 checks passed in 3 gates; 1 were not judged" in text
    assert "## Accepted" not in text


def test_an_acceptance_says_against_whom_and_what_was_closest():
    text = page(AUC, NEAR, SMALL, IMPROVED)
    head = text.split("###")[0]
    assert head.startswith("## Accepted by all 4 gates")
    assert "champion version 4 on the same test rows: better than champion version 4" in head
    assert "Closest to its limit: brier, brier (test)." in head
    assert "No champion existed" in page(AUC, champion=None)


def test_every_gate_has_one_line_the_worst_first_with_candidate_champion_and_limit():
    rows = section(page(AUC, NEAR, *MANY, REFUSED, SMALL), "Gates, worst first").splitlines()[2:]
    assert len(rows) == 3
    assert rows[0].startswith(
        "| **refused** | slice_brier | 0.2 | - | 0.1 | slice_brier | a=&lt;1 |"
    )
    assert rows[0].endswith("| 1 of 101 refused |")
    assert rows[1].startswith("| passed | brier |")
    assert rows[2] == "| passed | auc | 0.71234 | 0.69876 | 0.6 | auc | test | 1 |"


def test_the_page_stays_short_and_never_leaves_a_refused_slice_out():
    refused = tuple(
        finding("slice_brier", 0.9, 0.1, passed=False, part=f"r={n}") for n in range(14)
    )
    text = section(page(*MANY, *refused), "Worst slices")
    assert all(f"| r={n} |" in text for n in range(14))
    assert "100 more are farther from their limits." in text
    assert section(page(*MANY), "Worst slices").count("\n| passed |") == 6


def test_a_page_of_many_long_refusals_still_fits_and_keeps_its_links():
    long = tuple(
        finding(f"gate_{n}", 0.9, 0.1, passed=False, part="p" * 200, reason="r" * 500)
        for n in range(40)
    )
    text = page(*long, *MANY)
    assert text.startswith("## Refused by 40 of 41 gates")
    assert "and 34 more, in the run's gates.json" in text
    assert "The rest is in the run's gates.json." in section(text, "Gates, worst first")
    assert "artifacts/gates.json" in section(text, "More")


def test_fairness_golden_set_cause_and_links_have_their_places():
    text = page(AUC, FAIR, GOLDEN)
    assert "| passed | origin | 0.24 | 0.25 | selection_difference |" in section(text, "Fairness")
    golden = section(text, "Golden set")
    assert "| passed | logloss_gain | 0.05 | 0 | 500 | of 500 rows |" in golden
    cause = section(text, "Why it was trained").splitlines()
    assert cause == [
        "- Alarm (flight_delays__monitoring): AUC fell by 0.07, &lt; 0.05",
        "- Data interval: ? to ?",
    ]
    links = section(text, "More")
    targets = re.findall(r"\]\(([^)]+)\)", links)
    assert "#/experiments/7/runs/abc123/artifacts/gates.json" in targets
    dag = "http://127.0.0.1:8080/dags/flight_delays__training/runs/asset%202013-05-01"
    assert dag in targets
    assert "| auc | 0.8 | - | 0.71234 | 0.69876 | 0.7 |" in section(text, "Metrics")


def test_the_order_is_refused_then_nearest_then_unjudged():
    same = finding("evaluated_object", 0.4, 0.4)
    assert worst_first([SMALL, same, AUC, NEAR, REFUSED]) == [REFUSED, NEAR, AUC, same, SMALL]


def test_a_refusal_before_the_gates_is_a_page_too():
    reasons = [f"table.column: rule {number}" for number in range(8)]
    note = refusal_note(reasons)
    assert note.startswith("## Refused\n\n- table.column: rule 0")
    assert note.endswith("- and 2 more, in the run's gates.json")


def test_tags_hold_one_outcome_per_gate_and_the_runs_own_tags_without_their_prefix():
    tags = version_tags(GateVerdict(findings=(AUC, REFUSED, SMALL)), TAGS, "d")
    assert {name: tags[name] for name in ("digest", "decision", "champion_compared")} == {
        "digest": "d",
        "decision": "refused",
        "champion_compared": "none",
    }
    assert (tags["gate.auc"], tags["gate.slice_brier"]) == ("passed", "refused")
    assert (tags["trigger"], tags["snapshot_digest"]) == ("asset", "abc")
    assert "mlflow.user" not in tags


def test_what_the_gates_allow_stands_beside_what_alarms():
    text = section(page(AUC), "What is allowed, and what raises the alarm")
    assert "| calibration | mean-score gap | 0.01 | at most 0.12 (ece) | above 0.05 |" in text
    assert text.endswith("This version's own mean-score gap, 0.01, is below the alarm.")


def test_the_metrics_are_those_that_the_problem_has():
    text = page(metrics={"train.rmse": 30.5, "test.rmse": 33.25, "test.n": 10.0})
    assert "| rmse | 30.5 | - | 33.25 | - | - |" in text
    assert "| auc |" not in section(text, "Metrics")
