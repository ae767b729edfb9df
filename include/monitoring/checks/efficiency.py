"""Efficiency: did the endpoint answer as fast, as much and as well as it must, at which cost?

Judged are the endpoint's own numbers of the interval, one row of `<use_case>/serving_metrics`. A
limit that the use case does not declare is not asked for. What it finds raises an alarm of its own
kind, `serving`, and starts no training: no model can cure a slow machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from include.monitoring.checks.base import Window, not_judged
from include.monitoring.cost import per_thousand_ahead
from include.spec import ServingLimits
from include.verdict import Finding

EFFICIENCY = "efficiency"
BYTES_PER_MEGABYTE = 1e6


def efficiency(window: Window) -> list[Finding]:
    """One finding for each declared limit, or why there is none."""
    limits, row = window.limits.serving, window.operation
    if row is None:
        return [not_judged("sampled", EFFICIENCY, "nothing is recorded of the endpoint")]
    if not row["reachable"]:
        return [not_judged("reachable", EFFICIENCY, f"the endpoint did not answer: {_why(row)}")]
    findings = [*_of_requests(limits, row), *_of_machine(limits, row)]
    return [*findings, *_of_throughput(window, row), *_of_cost(window, row)]


def _of_requests(limits: ServingLimits, row: Mapping[str, Any]) -> list[Finding]:
    requests = row["requests"] or 0.0
    if requests < limits.minimum_requests:
        why = f"{requests:,.0f} requests are fewer than the minimum of {limits.minimum_requests:,}"
        return [not_judged("minimum_requests", EFFICIENCY, why, requests)]
    share, limit = row["server_errors"] / requests, limits.max_error_share
    failed = Finding(
        rule="error_share",
        subject=EFFICIENCY,
        observed=share,
        limit=limit,
        passed=share <= limit,
        reason=(
            f"{row['server_errors']:,.0f} of {requests:,.0f} requests failed by the endpoint's own"
            f" fault (5xx): a share of {share:.4f}, limit {limit:g}."
        ),
    )
    latency = _at_most(
        "p99_milliseconds",
        row["total_p99_ms"],
        limits.max_p99_milliseconds,
        "The slowest hundredth of the answers took {observed:.1f} ms or more, limit {limit:g}.",
    )
    return [failed, *latency]


def _of_machine(limits: ServingLimits, row: Mapping[str, Any]) -> list[Finding]:
    memory = row["memory_bytes"]
    return [
        *_at_most(
            "memory_megabytes",
            None if memory is None else memory / BYTES_PER_MEGABYTE,
            limits.max_memory_megabytes,
            "The endpoint's processes hold {observed:,.0f} MB of memory, limit {limit:,g}.",
        ),
        *_at_most(
            "processors",
            row["cpu_share"],
            limits.max_processors,
            "The endpoint used {observed:.2f} processors on average, limit {limit:g}.",
        ),
    ]


def _of_throughput(window: Window, row: Mapping[str, Any]) -> list[Finding]:
    """Against the median of the samples before, which one odd interval does not move."""
    most = window.limits.serving.max_throughput_drop
    if most is None:
        return []
    before = [rate for rate in window.throughput_before if math.isfinite(rate)]
    if not before or row["rows_per_second"] is None:
        return [not_judged("throughput", EFFICIENCY, "no interval before to compare with")]
    usual, now = median(before), row["rows_per_second"]
    drop = 1.0 - now / usual if usual > 0.0 else 0.0
    return [
        Finding(
            rule="throughput",
            subject=EFFICIENCY,
            observed=drop,
            limit=most,
            passed=drop <= most,
            reason=(
                f"{now:.3g} rows a second were answered, {usual:.3g} in the median of the"
                f" {len(before)} intervals before: a fall of {drop:.2f}, limit {most:g}."
            ),
        )
    ]


def _of_cost(window: Window, row: Mapping[str, Any]) -> list[Finding]:
    """What a thousand answers cost, and will: refused above the declared limit alone."""
    limit = window.limits.serving.max_cost_per_thousand
    now = window.costs[-1] if window.costs and window.costs[-1].moment == row["moment"] else None
    if now is None or now.per_thousand is None:
        if limit is None:
            return []
        why = "there are no prices, or nothing was answered since the sample before"
        return [not_judged("cost_per_thousand", EFFICIENCY, why)]
    ahead = per_thousand_ahead(window.costs)
    text = f"A thousand answers cost {now.per_thousand:.4g} {now.currency}"
    if ahead:
        text += (
            f"; the next interval's will cost {ahead[0].value:.4g} ({ahead[0].low:.4g} to"
            f" {ahead[0].high:.4g} in nine of ten)"
        )
    return [
        Finding(
            rule="cost_per_thousand",
            subject=EFFICIENCY,
            observed=now.per_thousand,
            limit=limit,
            passed=limit is None or now.per_thousand <= limit,
            reason=f"{text}{'' if limit is None else f', limit {limit:g}'}.",
            example={
                "per_hour": now.per_hour,
                "next": [ahead[0].value, ahead[0].low, ahead[0].high] if ahead else [],
            },
        )
    ]


def _at_most(rule: str, observed: float | None, limit: float | None, text: str) -> list[Finding]:
    if limit is None:
        return []
    if observed is None:
        return [not_judged(rule, EFFICIENCY, "the endpoint's metrics do not tell it")]
    return [
        Finding(
            rule=rule,
            subject=EFFICIENCY,
            observed=observed,
            limit=limit,
            passed=observed <= limit,
            reason=text.format(observed=observed, limit=limit),
        )
    ]


def _why(row: Mapping[str, Any]) -> str:
    return str(row["problem"] or "no reason is recorded").rstrip(".")
