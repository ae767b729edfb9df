"""Effectiveness: what the model was worth where labels have come, with intervals.

The metrics are compared with the model's own on its test split, by the rules and the standard
errors of the alarm on performance (`include.monitoring.decay`): rows that share a cause count
together. How many rows have a label, and how late it came, is always said: labels that come early
are no fair sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from include.monitoring.checks.base import Side, Window, measured, not_judged
from include.monitoring.decay import DECAY
from include.stats.clustered import auc_error, block_errors, mean_error
from include.stats.metrics import roc_auc, summary
from include.stats.two_samples import merged_blocks
from include.verdict import Finding

EFFECTIVENESS = "effectiveness"
GROUPS = 100
"""Into how many groups independent rows are cut, which are resampled as blocks are."""
FEWEST_IN_SLICE = 200
OF_LOSSES = {"several": "accuracy", "value": "rmse"}
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
    return [few, *_of_probabilities(window), *_slices(window)]


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


def _of_probabilities(window: Window) -> Iterator[Finding]:
    """Each rule of the alarm, with the metric and its bounds."""
    side, reference, rules = window.serving, window.baseline, DECAY["binary"]
    mask = side.labelled
    labels, scores = side.labels[mask], side.scores[mask]
    sure = block_errors({"gap": scores - labels}, own_blocks(side)[mask], (labels, scores))
    metrics = {**summary(labels, scores), **sure}
    if "auc" not in reference:
        del metrics["auc"]
    bounds = rules.intervals(metrics, reference)
    values = {"auc_drop": metrics.get("auc"), "calibration_gap": rules.calibration_gap(metrics)}
    for item in rules.checks(metrics, reference, window.limits):
        of_auc = item.rule == "auc_drop"
        name, before = ("metric", reference.get("auc")) if of_auc else ("gap", None)
        ends = (bounds.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
        shown = measured(values[item.rule] or 0.0, *ends, before=before)
        yield item.model_copy(update={"subject": EFFECTIVENESS, "example": shown})


def _slices(window: Window) -> Iterator[Finding]:
    """What each slice's metrics are: shown, and refusing nothing."""
    side, blocks = window.serving, own_blocks(window.serving)
    mask = side.labelled
    for column, values in side.groups.items():
        for value in np.unique(values[mask]):
            rows = mask & (values == value)
            labels, scores = side.labels[rows], side.scores[rows]
            if len(labels) < FEWEST_IN_SLICE or not 0 < labels.sum() < len(labels):
                continue
            auc, width = roc_auc(labels, scores), auc_error(labels, scores, blocks[rows]).within()
            if math.isinf(width):
                continue
            low, high = max(auc - width, 0.0), min(auc + width, 1.0)
            yield Finding(
                rule="slice_auc",
                subject=EFFECTIVENESS,
                part=f"{column}={value}",
                observed=auc,
                passed=True,
                reason=(
                    f"Of {column}={value} the AUC is {auc:.3f} ({low:.3f} to {high:.3f}) over"
                    f" {len(labels)} labelled rows."
                ),
                example=measured(auc, low, high),
            )


def _of_losses(window: Window) -> Iterator[Finding]:
    """Of several classes the accuracy, of a number the RMSE, with its interval; what decays is
    decided by the limits of `decay`, and refuses nothing here.
    """
    side, metric = window.serving, OF_LOSSES[window.score_kind]
    mask = np.isfinite(side.losses)
    if not mask.any():
        return
    losses = side.losses[mask]
    width = mean_error(losses, own_blocks(side)[mask]).within()
    if math.isinf(width):
        return
    least, loss, most = (max(losses.mean() + move, 0.0) for move in (-width, 0.0, width))
    if metric == "accuracy":
        low, value, high = max(1.0 - most, 0.0), 1.0 - loss, 1.0 - least
    else:
        low, value, high = math.sqrt(least), math.sqrt(loss), math.sqrt(most)
    before = window.baseline.get(metric)
    tested = "" if before is None else f", the test split's was {before:.4g}"
    yield Finding(
        rule=metric,
        subject=EFFECTIVENESS,
        observed=value,
        passed=True,
        reason=(
            f"The {metric} is {value:.4g} ({low:.4g} to {high:.4g} in 95 of 100 samples){tested}."
        ),
        example=measured(value, low, high, before=before),
    )


def own_blocks(side: Side) -> np.ndarray:
    """The block of each row; independent rows are blocks of their own."""
    return np.arange(side.rows) if side.sample.blocks is None else side.sample.blocks
