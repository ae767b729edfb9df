"""What the gates allow and what raises the alarm stand side by side, for every kind of problem, and
agree or say why not.
"""

from __future__ import annotations

import pytest

from include.registry.page_tables import GAP
from include.registry.promises import promises
from include.spec import UseCase
from tests.unit.problems.problem_cases import use_case

METRICS = {
    "binary": {
        "test.auc": 0.71234,
        "test.mean_score": 0.25,
        "test.observed_rate": 0.24,
        "test.ece": 0.03,
    },
    "multiclass": {
        "test.auc": 0.8,
        "test.accuracy": 0.6,
        "test.mean_score": 0.62,
        "test.ece": 0.04,
    },
    "regression": {
        "test.rmse": 10.0,
        "test.loss": 100.0,
        "test.bias": -1.5,
        "test.spread": 8.0,
        "test.decile_error": 4.0,
    },
}


def shown(declared: UseCase, **changed: float) -> str:
    text = promises(declared, {**METRICS[declared.problem.kind], **changed})
    assert text is not None
    return text.replace(GAP, "")


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (
            "binary",
            (
                "| calibration | ece | 0.03 | at most 0.1 | - |",
                "| calibration | mean-score gap | 0.01 | at most 0.1 (ece) | above 0.05 |",
                "| ranking | auc | 0.71234 | at least 0.6 | below 0.6623 (0.05 less) |",
            ),
        ),
        (
            "multiclass",
            (
                "| calibration | mean-score gap | 0.02 | at most 0.1 (ece) | above 0.05 |",
                "| accuracy | accuracy | 0.6 | at least 0.5 | below 0.55 (0.05 less) |",
            ),
        ),
        (
            "regression",
            (
                "| bias | decile_error | 4 | at most 6 | - |",
                "| bias | mean error | 1.5 | at most 3 | above 2 |",
                "| error | rmse | 10 | at most 14 | loss above 125 (25% more) |",
            ),
        ),
    ],
)
def test_every_question_that_gate_and_alarm_share_has_its_row(kind, rows):
    text = shown(use_case(kind))
    assert [row for row in rows if row not in text] == []
    assert ("| ranking |" in text) is (kind == "binary")


@pytest.mark.parametrize(
    ("kind", "wider", "above"),
    [
        (
            "binary",
            "The gate is wider than the alarm (0.1 against 0.05): ece adds up the gaps of bins",
            {"test.mean_score": 0.31},
        ),
        (
            "multiclass",
            "The gate is wider than the alarm (0.1 against 0.05): ece adds up the gaps of bins",
            {"test.mean_score": 0.7},
        ),
        (
            "regression",
            "The gate is wider than the alarm (3 against 2): the gate's limit is the use case's",
            {"test.bias": 2.5},
        ),
    ],
)
def test_a_gate_that_is_wider_says_why_and_a_version_above_the_alarm_says_so(kind, wider, above):
    declared = use_case(kind)
    assert wider in shown(declared)
    assert "**This version starts above the alarm**" in shown(declared, **above)
    calm = {"max_calibration_gap": 0.5, "max_bias": 2.0}
    agreeing = declared.model_copy(
        update={"monitoring": declared.monitoring.model_copy(update=calm)}
    )
    assert shown(agreeing).endswith(
        "Gate and alarm agree: what the gate lets through does not raise the alarm."
    )


@pytest.mark.parametrize("kind", METRICS)
def test_a_run_that_measured_nothing_promises_nothing(kind):
    assert promises(use_case(kind), {}) is None
