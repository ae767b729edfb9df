"""The alarm policy as a table: what was measured, what follows."""

from typing import Any

import pytest

from include.monitoring.alarm import policy
from include.spec import Monitoring

AUC = {
    "metric": "auc_drop",
    "observed": 0.081,
    "limit": 0.05,
    "noise": 0.01,
    "auc": 0.62,
    "test_auc": 0.701,
}
GAP = {
    "metric": "calibration_gap",
    "observed": 0.12,
    "limit": 0.05,
    "noise": 0.01,
    "mean_score": 0.3,
    "observed_rate": 0.18,
}


def drift(word: str, names: tuple[str, ...] = ()) -> dict[str, Any]:
    columns = [
        {"column": name, "psi": 0.3 + place / 10, "limit": 0.25, "rows": 900}
        for place, name in enumerate(names)
    ]
    judged = word != "not judged"
    return {
        "verdict": word,
        "judged": judged,
        "rows": 900,
        "inputs": 10,
        "drifted_inputs": list(names),
        "drifted_share": len(names) / 10 if judged else None,
        "limit": 0.3,
        "columns": columns,
    }


def performance(*findings: dict[str, Any], not_judged: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"findings": list(findings), "not_judged": list(not_judged)}


DRIFTED = drift("drifted", ("a", "b", "c", "d"))
STABLE = drift("stable")


@pytest.mark.parametrize(
    ("alarm_on", "measured", "judged", "alarm", "verdict"),
    [
        (("performance",), STABLE, performance(), False, "none"),
        (("performance",), DRIFTED, performance(), False, "drift"),
        (("performance",), STABLE, performance(AUC), True, "performance"),
        (("performance",), DRIFTED, performance(GAP), True, "drift+performance"),
        (("drift",), DRIFTED, performance(), True, "drift"),
        (("drift",), STABLE, performance(AUC), False, "performance"),
        (("drift", "performance"), STABLE, performance(AUC, GAP), True, "performance"),
        ((), DRIFTED, performance(AUC, GAP), False, "drift+performance"),
    ],
)
def test_policy(
    alarm_on: tuple[Any, ...],
    measured: dict[str, Any],
    judged: dict[str, Any],
    alarm: bool,
    verdict: str,
) -> None:
    result = policy(Monitoring(alarm_on=alarm_on), measured, judged)
    assert (result["alarm"], result["verdict"]) == (alarm, verdict)
    assert bool(result["reasons"]) == (verdict != "none")


def test_reasons_name_what_was_observed_and_its_limit() -> None:
    reasons = policy(Monitoring(), DRIFTED, performance(AUC, GAP))["reasons"]
    assert (
        reasons[0]
        == "4 of 10 inputs have drifted from the training data: a share of 0.40, limit 0.30."
    )
    assert reasons[1] == "Input d has a PSI of 0.600 on 900 rows, limit 0.250."
    assert (
        reasons[-2] == "AUC is 0.620, 0.081 below the 0.701 of the model's test split, limit 0.050."
    )
    assert (
        reasons[-1]
        == "The mean score is 0.300 and the observed rate 0.180: a gap of 0.120, limit 0.050."
    )


def test_many_drifted_inputs_are_summarised() -> None:
    reasons = policy(Monitoring(), drift("drifted", tuple("abcdefg")), performance())["reasons"]
    assert len(reasons) == 7
    assert reasons[-1] == "2 more inputs are above the limit."


def test_too_few_rows_give_neither_alarm_nor_all_clear() -> None:
    left_open = performance(
        not_judged=("performance: 12 labelled rows are fewer than the minimum of 1000",)
    )
    result = policy(Monitoring(alarm_on=("drift", "performance")), drift("not judged"), left_open)
    assert (result["alarm"], result["verdict"], result["reasons"]) == (False, "none", [])
    assert result["not_judged"] == [
        "Not judged: drift: 900 predictions are fewer than the minimum of 1000.",
        "Not judged: performance: 12 labelled rows are fewer than the minimum of 1000.",
    ]
