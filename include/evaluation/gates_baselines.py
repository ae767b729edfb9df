"""The gate against what costs nothing: the prior, the last known value and a simpler model, on the same test rows."""

from __future__ import annotations

from include.evaluation.baselines import LAST_VALUE, SIMPLE
from include.evaluation.gates import TEST, GateInput, GateRow


def baselines(given: GateInput) -> list[GateRow]:
    """The log loss beats prior and last value, and is at most `max_simple_model_deficit` (nats) above the simpler model's."""
    value = given.metrics.get("test.logloss")
    rows = []
    for baseline, metric in (("prior", "test.baseline.logloss"), (LAST_VALUE, f"test.baseline.{LAST_VALUE}.logloss")):
        other = given.metrics.get(metric)
        gain = None if value is None or other is None else other - value
        passed = gain is not None and gain > 0.0
        reason = _missing(value, metric) if gain is None else f"log loss {value:.5f}, {baseline} {other:.5f}"
        rows.append(GateRow("baselines", f"gain_over_{baseline}", TEST, "", 0.0, gain, passed, reason))
    limit, metric = given.limits.max_simple_model_deficit, f"test.baseline.{SIMPLE}.logloss"
    other = given.metrics.get(metric)
    deficit = None if value is None or other is None else value - other
    passed = deficit is not None and deficit <= limit
    reason = _missing(value, metric) if deficit is None else f"log loss {value:.5f}, logistic regression {other:.5f}"
    return [*rows, GateRow("baselines", "deficit_to_simple", TEST, "", limit, deficit, passed, reason)]


def golden(given: GateInput) -> list[GateRow]:
    """Where a golden set is declared, the candidate was measured on it and beats its prior's log loss by `min_golden_gain` (nats)."""
    if given.use_case.golden is None:
        return []
    limit = given.limits.min_golden_gain
    value, prior = given.metrics.get("golden.logloss"), given.metrics.get("golden.baseline.logloss")
    gain = None if value is None or prior is None else prior - value
    passed = gain is not None and gain >= limit
    reason = _missing(value, "golden.logloss") if gain is None else f"log loss {value:.5f}, prior {prior:.5f}"
    return [GateRow("golden", "gain_over_prior", "golden", "", limit, gain, passed, reason)]


BASELINE_GATES = (baselines, golden)


def _missing(value: float | None, metric: str) -> str:
    return f"the metric {'test.logloss' if value is None and metric.startswith('test.') else metric} is missing"
