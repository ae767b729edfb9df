"""The alarm policy as a table: what was measured, what follows."""

from collections.abc import Sequence
from typing import Any

import pytest

from include.monitoring import drift
from include.monitoring.alarm import policy
from include.monitoring.drift import ColumnDrift
from include.monitoring.performance import judge
from include.spec import Monitoring
from include.verdict import Finding

BEFORE = "the test split's was 0.701"
GAP = "The mean score is 0.300 and the observed rate 0.200, a gap of +0.100"
LIMITS = Monitoring(minimum_rows=800, drift_effect=0.2, drifted_share=0.3)
REFERENCE = {"n": 9000.0, "observed_rate": 0.2, "auc": 0.701, "brier": 0.15, "logloss": 0.45}


def drifted(*names: str, rows: int = 900) -> list[Finding]:
    """Ten inputs of which those named have drifted, each more than the one before."""
    quiet = [f"quiet_{place}" for place in range(10 - len(names))]
    columns = [
        ColumnDrift(
            column=name,
            kind="number",
            psi=0.3,
            noise=0.02,
            effect=0.3 + place / 10 if name in names else 0.01,
            corrected_p=0.001 if name in names else 1.0,
            limit=0.2,
            drifted=name in names,
            rows=rows,
            missing_share=0.0,
            reference_missing_share=0.0,
            blind=False,
        )
        for place, name in enumerate([*names, *quiet])
    ]
    return list(drift.verdict(columns, LIMITS, [])["findings"])


def measured(rows: float = 20000.0, auc: float = 0.70, mean_score: float = 0.2) -> list[Finding]:
    metrics = {"n": rows, "observed_rate": 0.2, "mean_score": mean_score, "auc": auc}
    return list(judge(metrics, REFERENCE, LIMITS)["findings"])


DRIFTED, STABLE = drifted("a", "b", "c", "d"), drifted("a")


@pytest.mark.parametrize(
    ("alarm_on", "inputs", "labels", "alarm", "verdict"),
    [
        (("performance",), STABLE, measured(), False, "none"),
        (("performance",), DRIFTED, measured(), False, "drift"),
        (("performance",), STABLE, measured(auc=0.62), True, "performance"),
        (("performance",), DRIFTED, measured(mean_score=0.3), True, "drift+performance"),
        (("drift",), DRIFTED, measured(), True, "drift"),
        (("drift",), STABLE, measured(auc=0.62), False, "performance"),
        (("drift", "performance"), STABLE, measured(auc=0.62), True, "performance"),
        ((), DRIFTED, measured(auc=0.62), False, "drift+performance"),
    ],
)
def test_policy(
    alarm_on: tuple[Any, ...],
    inputs: Sequence[Finding],
    labels: Sequence[Finding],
    alarm: bool,
    verdict: str,
) -> None:
    result = policy(Monitoring(alarm_on=alarm_on), [*inputs, *labels])
    assert (result["alarm"], result["verdict"]) == (alarm, verdict)
    assert bool(result["reasons"]) == (verdict != "none")
    assert result["findings"] == (*inputs, *labels)


def test_reasons_name_what_was_observed_and_its_limit() -> None:
    reasons = policy(LIMITS, [*DRIFTED, *measured(auc=0.62, mean_score=0.3)])["reasons"]
    assert reasons == [
        "4 of 10 inputs have drifted from the training data: a share of 0.40, limit 0.30.",
        distance("d", 0.600),
        distance("c", 0.500),
        distance("b", 0.400),
        distance("a", 0.300),
        f"AUC is 0.620 (0.610 to 0.630, 95 %), {BEFORE}: auc drop 0.081, limit 0.050.",
        f"{GAP} (+0.094 to +0.106, 95 %): calibration gap 0.100, limit 0.050.",
    ]


def distance(name: str, effect: float) -> str:
    return (
        f"Input {name} is a Hellinger distance of {effect:.3f} from the training data on 900 rows,"
        " limit 0.200 (corrected p 0.001)."
    )


def test_an_input_that_has_drifted_alone_is_stated_and_refuses_nothing() -> None:
    (whole, alone) = STABLE
    assert (whole.passed, alone.passed, alone.part) == (True, True, "a")
    assert policy(LIMITS, STABLE)["reasons"] == []


def test_many_drifted_inputs_are_summarised() -> None:
    reasons = policy(LIMITS, drifted(*"abcdefg"))["reasons"]
    assert len(reasons) == 7
    assert reasons[-1] == "2 more inputs are above the limit."


def test_too_few_rows_give_neither_alarm_nor_all_clear() -> None:
    findings = [*drifted("a", "b", "c", "d", rows=700), *measured(rows=12.0, auc=0.5)]
    result = policy(Monitoring(alarm_on=("drift", "performance")), findings)
    assert (result["alarm"], result["verdict"], result["reasons"]) == (False, "none", [])
    assert result["not_judged"] == [
        "Not judged: drift: 700 predictions are fewer than the minimum of 800.",
        "Not judged: performance: 12 labelled rows are fewer than the minimum of 800.",
    ]
