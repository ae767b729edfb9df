"""The gate against what costs nothing: the prior, the last known value and a simpler model, on the
same test rows.
"""

from __future__ import annotations

from include.evaluation.baselines import DEFICIT, LAST_VALUE, SIMPLE
from include.evaluation.gates.base import TEST, GateInput
from include.verdict import Finding

LOSS_NAMES = {"logloss": "log loss"}


def baselines(candidate: GateInput) -> list[Finding]:
    """The loss beats prior and last value, and is not surely more than `max_simple_model_deficit`
    above the simpler model's: few rows cannot tell two equal models apart.

    In nats; of a regression as share of the best constant's loss on the test rows.
    """
    problem = candidate.problem_strategy
    unit, loss = problem.loss_unit(candidate.labels), problem.loss_metric
    name = LOSS_NAMES.get(loss, loss)
    value = candidate.metrics.get(f"test.{loss}")
    rows = []
    for baseline, metric in (
        ("prior", f"test.baseline.{loss}"),
        (LAST_VALUE, f"test.baseline.{LAST_VALUE}.{loss}"),
    ):
        other = candidate.metrics.get(metric)
        gain = None if value is None or other is None else (other - value) / unit
        passed = gain is not None and gain > 0.0
        reason = (
            _missing(value, metric, loss)
            if gain is None
            else f"{name} {value:.5f}, {baseline} {other:.5f}"
        )
        rows.append(
            Finding(
                rule="baselines",
                metric=f"gain_over_{baseline}",
                subject=TEST,
                limit=0.0,
                observed=gain,
                passed=passed,
                reason=reason,
            )
        )
    return [*rows, _deficit(candidate, value, unit)]


def _deficit(candidate: GateInput, value: float | None, unit: float) -> Finding:
    """The loss above the simple model's: refused where it is surely more than the limit, by the
    lower end of its 95 % interval. Where there is none, the difference itself is compared.
    """
    problem, limit = candidate.problem_strategy, candidate.limits.max_simple_model_deficit
    loss, simple = problem.loss_metric, f"test.baseline.{SIMPLE}"
    other = candidate.metrics.get(f"{simple}.{loss}")
    if value is None or other is None:
        deficit, passed = None, False
        reason = _missing(value, f"{simple}.{loss}", loss)
    else:
        deficit = (value - other) / unit
        low, high = (candidate.metrics.get(f"{simple}.{DEFICIT}.{end}") for end in ("low", "high"))
        passed = (deficit if low is None else low) <= limit
        verdict = "within" if deficit <= limit else "not surely above" if passed else "above"
        sure = "" if low is None else f", 95 % interval {low:.5f} to {high:.5f}"
        name = LOSS_NAMES.get(loss, loss)
        reason = (
            f"{name} {value:.5f}, {problem.simple_name} {other:.5f}{sure};"
            f" {verdict} gates.max_simple_model_deficit"
        )
    return Finding(
        rule="baselines",
        metric="deficit_to_simple",
        subject=TEST,
        limit=limit,
        observed=deficit,
        passed=passed,
        reason=reason,
    )


def golden(candidate: GateInput) -> list[Finding]:
    """Where a golden set is declared, the candidate was measured on it and beats its prior's loss
    by `min_golden_gain` (as above).
    """
    if candidate.use_case.golden is None:
        return []
    limit = candidate.limits.min_golden_gain
    problem = candidate.problem_strategy
    loss, unit = problem.loss_metric, problem.loss_unit(candidate.labels)
    value, prior = (
        candidate.metrics.get(f"golden.{loss}"),
        candidate.metrics.get(f"golden.baseline.{loss}"),
    )
    gain = None if value is None or prior is None else (prior - value) / unit
    passed = gain is not None and gain >= limit
    missing = _missing(value, f"golden.{loss}", loss)
    reason = (
        missing if gain is None else f"{LOSS_NAMES.get(loss, loss)} {value:.5f}, prior {prior:.5f}"
    )
    if candidate.golden_lacks:
        reason += f"; frozen without {', '.join(candidate.golden_lacks)}, missing in all its rows"
    return [
        Finding(
            rule="golden",
            metric="gain_over_prior",
            subject="golden",
            limit=limit,
            observed=gain,
            passed=passed,
            reason=reason,
        )
    ]


BASELINE_GATES = (baselines, golden)


def _missing(value: float | None, metric: str, loss: str) -> str:
    return (
        f"the metric {f'test.{loss}' if value is None and metric.startswith('test.') else metric}"
        " is missing"
    )
