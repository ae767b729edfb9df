"""Effectiveness: what the model was worth where labels have come, with intervals.

The metrics are compared with the model's own on its test split. A metric refuses when it is worse
by more than its limit and by more than chance, where rows that share a cause are resampled
together. How many rows have a label, and how late it came, is always said: labels that come early
are no fair sample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from include.monitoring.checks.base import Side, Window, measured, not_judged
from include.stats.bootstrap import (
    Interval95,
    bootstrap_intervals,
    mean_resamples,
    percentile_intervals,
    resampled_clusters,
)
from include.stats.metrics import summary
from include.stats.two_samples import merged_blocks
from include.verdict import Finding

EFFECTIVENESS = "effectiveness"
GROUPS = 100
"""Into how many groups independent rows are cut, which are resampled as blocks are."""
SURE = 2.81
"""Standard errors that a change must exceed: half a per cent, both sides."""
HALF_WIDTHS = 1.96
FEWEST_IN_SLICE = 200
RESAMPLES = 400
OF_LOSSES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "several": ("accuracy", lambda mean: 1.0 - mean),
    "value": ("rmse", np.sqrt),
}
"""The metric that follows from the mean of the rows' losses, by kind of score."""


def effectiveness(window: Window) -> list[Finding]:
    """The coverage, each metric with its interval, and each slice's."""
    side = window.serving
    if not side.labels.size:
        return []
    few = _coverage(side, window.limits.minimum_rows)
    if not few.judged:
        return [few]
    if window.score_kind != "probability":
        return [few, *_of_losses(window)]
    mask = side.labelled
    labels, scores, blocks = side.labels[mask], side.scores[mask], blocks_of(side)[mask]
    metrics = summary(labels, scores)
    intervals = bootstrap_intervals(labels, scores, blocks, seed=window.seed, resamples=RESAMPLES)
    findings = [few]
    if "auc" in metrics and "auc" in intervals and "auc" in window.baseline:
        findings.append(_auc(window, metrics["auc"], intervals["auc"]))
    findings.append(_gap(window, labels, scores, blocks))
    return [*findings, *_slices(window, mask)]


def blocks_of(side: Side) -> np.ndarray:
    """The block of each row; of independent rows that of its group."""
    if side.sample.blocks is not None:
        return merged_blocks(side.sample.blocks)
    return np.arange(side.rows) * GROUPS // max(side.rows, 1)


def _coverage(side: Side, least: int) -> Finding:
    count = int(side.labelled.sum())
    share = count / max(side.rows, 1)
    late = side.delays[side.labelled] if side.delays.size else np.empty(0)
    when = f", half of them within {np.median(late):.3g} hours" if late.size else ""
    why = f"{count} of {side.rows} rows ({100 * share:.1f} %) have a label{when}"
    if count < least:
        return not_judged(
            "coverage", EFFECTIVENESS, f"{why}, fewer than the minimum of {least}", share
        )
    return Finding(
        rule="coverage", subject=EFFECTIVENESS, observed=share, passed=True, reason=f"{why}."
    )


def _auc(window: Window, auc: float, interval: Interval95) -> Finding:
    before = window.baseline["auc"]
    noise = SURE * (interval.high - interval.low) / (2.0 * HALF_WIDTHS)
    drop, limit = before - auc, window.limits.max_auc_drop
    return Finding(
        rule="auc_drop",
        subject=EFFECTIVENESS,
        observed=drop,
        limit=limit,
        noise=noise,
        passed=drop <= max(limit, noise),
        reason=(
            f"The AUC is {auc:.3f} ({interval.low:.3f} to {interval.high:.3f} in 95 of 100"
            f" samples), the test split's was {before:.3f}."
        ),
        example=measured(auc, interval.low, interval.high, before=before),
    )


def _gap(window: Window, labels: np.ndarray, scores: np.ndarray, blocks: np.ndarray) -> Finding:
    gap = float(scores.mean() - labels.mean())
    error = _error(scores - labels, blocks, window.seed)
    limit = window.limits.max_calibration_gap
    return Finding(
        rule="calibration_gap",
        subject=EFFECTIVENESS,
        observed=abs(gap),
        limit=limit,
        noise=SURE * error,
        passed=abs(gap) <= max(limit, SURE * error),
        reason=(
            f"The mean score is {scores.mean():.3f} and the observed rate {labels.mean():.3f}, a"
            f" gap of {gap:+.3f} (plus or minus {HALF_WIDTHS * error:.3f})."
        ),
        example=measured(gap, gap - HALF_WIDTHS * error, gap + HALF_WIDTHS * error),
    )


def _error(values: np.ndarray, blocks: np.ndarray, seed: int) -> float:
    drawn = resampled_clusters(blocks, seed=seed, resamples=RESAMPLES)
    if drawn is None:
        return math.inf
    return float(mean_resamples(values, *drawn).std())


def _slices(window: Window, mask: np.ndarray) -> Iterator[Finding]:
    """What each slice's metrics are: shown, and refusing nothing."""
    side, blocks = window.serving, blocks_of(window.serving)
    for column, values in side.groups.items():
        for value in np.unique(values[mask]):
            rows = mask & (values == value)
            labels, scores = side.labels[rows], side.scores[rows]
            if len(labels) < FEWEST_IN_SLICE or not 0 < labels.sum() < len(labels):
                continue
            metrics = summary(labels, scores)
            interval = bootstrap_intervals(
                labels, scores, blocks[rows], seed=window.seed, resamples=RESAMPLES
            ).get("auc")
            if interval is None:
                continue
            yield Finding(
                rule="slice_auc",
                subject=EFFECTIVENESS,
                part=f"{column}={value}",
                observed=metrics["auc"],
                passed=True,
                reason=(
                    f"Of {column}={value} the AUC is {metrics['auc']:.3f} ({interval.low:.3f} to"
                    f" {interval.high:.3f}) over {len(labels)} labelled rows."
                ),
                example=measured(metrics["auc"], interval.low, interval.high),
            )


def _of_losses(window: Window) -> Iterator[Finding]:
    """Of several classes the accuracy, of a number the RMSE, with its interval; what decays is
    decided by the limits of `decay`, and refuses nothing here.
    """
    side, metric, of_mean = window.serving, *OF_LOSSES[window.score_kind]
    mask = np.isfinite(side.losses)
    if not mask.any():
        return
    drawn = resampled_clusters(blocks_of(side)[mask], seed=window.seed, resamples=RESAMPLES)
    if drawn is None:
        return
    losses = side.losses[mask]
    interval = percentile_intervals(
        {metric: of_mean(mean_resamples(losses, *drawn))}, drawn[1].shape[1]
    )[metric]
    value, before = float(of_mean(losses.mean())), window.baseline.get(metric)
    tested = "" if before is None else f", the test split's was {before:.4g}"
    yield Finding(
        rule=metric,
        subject=EFFECTIVENESS,
        observed=value,
        passed=True,
        reason=(
            f"The {metric} is {value:.4g} ({interval.low:.4g} to {interval.high:.4g} in 95 of 100"
            f" samples){tested}."
        ),
        example=measured(value, interval.low, interval.high, before=before),
    )
