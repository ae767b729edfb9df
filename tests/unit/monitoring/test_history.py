"""Limits of monitoring are proposed as a quantile of what a back-test measured, with its figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from include.interval import Interval
from include.monitoring.backtest import Measured, measurable
from include.monitoring.drift import ColumnDrift
from include.monitoring.history import monitoring_proposals
from include.quality.history import Proposal
from include.spec.times import intervals_between
from include.use_cases.flight_delays.spec import USE_CASE
from include.verdict import Finding

START = USE_CASE.schedule.start
MONTHS = intervals_between("@monthly", START, START.replace(month=11))
INPUTS = [f"input_{number}" for number in range(10)]


def drift_of(name: str, effect: float, corrected_p: float = 0.001) -> ColumnDrift:
    return ColumnDrift(
        column=name,
        kind="number",
        psi=8 * effect**2,
        noise=0.001,
        effect=effect,
        corrected_p=corrected_p,
        limit=0.18,
        drifted=False,
        rows=5000,
        missing_share=0.0,
        reference_missing_share=0.0,
        blind=False,
    )


def measured(
    month: Interval, effects: Sequence[float] = (), checks: Mapping[str, float] | None = None
) -> Measured:
    inputs = tuple(drift_of(*pair) for pair in zip(INPUTS, effects, strict=False))
    findings = tuple(
        Finding(rule=rule, subject="performance", observed=value, limit=0.05, passed=value <= 0.05)
        for rule, value in (checks or {}).items()
    )
    return Measured(month, inputs, findings)


def proposed(parts: Sequence[Measured]) -> dict[str, Proposal]:
    return {item.field: item for item in monitoring_proposals(USE_CASE, parts)}


def test_drift_limits_let_nineteen_of_twenty_values_pass_and_name_the_largest():
    seasonal = [[0.02] * 9 + [0.3 + number / 20] for number in range(10)]
    proposals = proposed([measured(*pair) for pair in zip(MONTHS, seasonal, strict=True)])
    limit, share = proposals["drift_effect"], proposals["drifted_share"]
    assert (limit.declared, limit.breaks) == ("0.18", 0)  # one drifted input of ten is no alarm
    assert 0.3 < float(limit.proposed) < 0.6
    assert limit.figure == (
        "95 % of 100 effects (10 inputs in 10 intervals) are at most 0.5025; the largest is 0.75,"
        " of input_9 in the interval from 2013-10-01 00:00"
    )
    assert (share.declared, share.proposed, share.breaks) == ("0.3", "0.1", 0)
    assert share.figure.endswith("with drift_effect=0.51")


def test_limits_that_were_adopted_hold_and_raise_no_alarm():
    seasonal = [[0.02] * 6 + [0.5, 0.5, 0.6, 0.6 + number / 100] for number in range(10)]
    parts = [measured(*pair) for pair in zip(MONTHS, seasonal, strict=True)]
    first = proposed(parts)
    assert (first["drift_effect"].breaks, first["drifted_share"].breaks) == (10, 10)
    limits = {name: float(item.proposed) for name, item in first.items()}
    adopted = USE_CASE.model_copy(
        update={"monitoring": USE_CASE.monitoring.model_copy(update=limits)}
    )
    for item in monitoring_proposals(adopted, parts):
        assert (item.holds, item.breaks) == (True, 0)


def test_what_may_be_chance_does_not_count_as_drifted():
    noisy = [
        Measured(month, tuple(drift_of(name, 0.3, corrected_p=0.5) for name in INPUTS), ())
        for month in MONTHS
    ]
    proposals = proposed(noisy)
    assert proposals["drift_effect"].breaks == 0
    assert proposals["drifted_share"].breaks == 0


def test_what_moved_in_too_few_of_the_last_intervals_does_not_count():
    every_third = [[0.5 if number % 3 == 0 else 0.02] * 10 for number in range(10)]
    parts = [measured(*pair) for pair in zip(MONTHS, every_third, strict=True)]
    assert proposed(parts)["drift_effect"].breaks == 4
    twice = USE_CASE.monitoring.model_copy(update={"persistent_windows": 2})
    patient = USE_CASE.model_copy(update={"monitoring": twice})
    assert monitoring_proposals(patient, parts)[0].breaks == 0


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ("auc_drop", "max_auc_drop"),
        ("calibration_gap", "max_calibration_gap"),
        ("accuracy_drop", "max_accuracy_drop"),
        ("loss_increase", "max_loss_increase"),
        ("bias", "max_bias"),
    ],
)
def test_each_check_of_performance_proposes_its_own_limit(rule, field):
    values = [0.01, 0.02, 0.03, 0.2, 0.04]
    pairs = zip(MONTHS, values, strict=False)
    parts = [measured(month, checks={rule: value}) for month, value in pairs]
    (proposal,) = proposed(parts).values()
    assert (proposal.where, proposal.field, proposal.breaks) == ("monitoring", field, 1)
    assert proposal.declared == f"{getattr(USE_CASE.monitoring, field):g}"
    assert proposal.proposed == "0.17"
    assert proposal.figure == (
        "95 % quantile 0.168 of 5 intervals, the largest 0.2 in the interval from 2013-04-01 00:00"
    )


def test_a_model_that_only_gets_better_still_has_a_limit_above_nothing():
    parts = [measured(month, checks={"auc_drop": -0.03}) for month in MONTHS]
    assert proposed(parts)["max_auc_drop"].proposed == "0.01"


def test_a_limit_that_is_a_share_is_never_above_one_and_a_loss_may_be():
    checks = {"bias": 3.0, "loss_increase": 3.0}
    proposals = proposed([measured(month, checks=checks) for month in MONTHS])
    assert (proposals["max_bias"].proposed, proposals["max_loss_increase"].proposed) == ("1", "3")


def test_too_few_intervals_propose_nothing():
    assert proposed([measured(month, [0.1] * 10) for month in MONTHS[:2]]) == {}


def test_intervals_with_a_whole_window_before_them_are_measured_and_never_more_than_twelve():
    year = Interval(START, START.replace(year=2014))
    assert [item.start.month for item in measurable(USE_CASE, year)] == list(range(4, 13))
    assert measurable(USE_CASE, Interval(START, START.replace(month=4))) == []
    daily = USE_CASE.model_copy(
        update={"schedule": USE_CASE.schedule.model_copy(update={"monitoring_cron": "@daily"})}
    )
    days = measurable(daily, year)
    assert len(days) == 12
    assert days[-1].end == year.end
