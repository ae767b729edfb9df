"""Which kind of change: the inputs' (covariate shift), the relation's (concept shift), or that of
the classes' shares alone (prior shift).

DISDE (Cai, Namkoong and Yadlowsky, 2023) splits the change of a loss over the inputs that both
sides share: from the reference to the shared inputs, from the old to the new relation on them, and
from the shared inputs to what is served. The shared inputs come from a domain classifier: a
reference row counts by its chance to be a serving row, a serving row by its chance to be none.

Whether the relation changed is tested on the residuals (label less score), whose mean given the
inputs a change of inputs leaves alone, wherever the model is about right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["none", "covariate", "concept", "covariate and concept", "prior"]
FEWEST = 30
"""Rows of a class on each side that its comparison needs."""


@dataclass(frozen=True)
class Labelled:
    """Labelled rows of one side: `chance` is each row's to be a serving row, `blocks` those that
    share a cause; all of shape (rows,).
    """

    scores: np.ndarray
    labels: np.ndarray
    chance: np.ndarray
    blocks: np.ndarray


@dataclass(frozen=True)
class Step:
    """A difference of two means, its standard error and its two-sided p-value."""

    value: float
    error: float
    p: float


@dataclass(frozen=True)
class Split:
    """The change of the mean loss, and what of it the inputs and the relation make up."""

    whole: Step
    covariate: Step
    concept: Step


def split_change(serving: Labelled, reference: Labelled) -> Split:
    """The change of the mean squared loss by its causes."""
    losses = [(side.scores - side.labels) ** 2 for side in (serving, reference)]
    shared = _shared(serving, reference)
    ours, others = (
        _mean(loss, np.ones(len(loss)), side.blocks)
        for loss, side in zip(losses, (serving, reference), strict=True)
    )
    new, old = (
        _mean(loss, weight, side.blocks)
        for loss, weight, side in zip(losses, shared, (serving, reference), strict=True)
    )
    concept = _difference(new, old)
    whole = _difference(ours, others)
    inputs = whole.value - concept.value
    error = math.sqrt(
        _paired_error(losses[0], shared[0], serving.blocks) ** 2
        + _paired_error(losses[1], shared[1], reference.blocks) ** 2
    )
    return Split(whole, Step(inputs, error, _p(inputs, error)), concept)


def relation_step(serving: Labelled, reference: Labelled) -> Step:
    """How much the residuals on the shared inputs changed, in probability: their mean, or their
    slope with the score per standard deviation of it, whichever is surer; its p-value is doubled.
    """
    shared = _shared(serving, reference)
    centre = float(np.average(reference.scores, weights=shared[1]))
    spread = float(reference.scores.std()) or 1.0
    steps: list[Step] = []
    for slope in (False, True):
        means = []
        for side, weight in zip((serving, reference), shared, strict=True):
            residual = side.labels - side.scores
            values = residual * (side.scores - centre) / spread if slope else residual
            means.append(_mean(values, weight, side.blocks))
        steps.append(_difference(means[0], means[1]))
    surest = min(steps, key=lambda step: step.p)
    return Step(surest.value, surest.error, min(1.0, 2.0 * surest.p))


def prior_step(serving: Labelled, reference: Labelled) -> Step:
    """How the share of positives changed."""
    ours, others = (
        _mean(side.labels, np.ones(len(side.labels)), side.blocks) for side in (serving, reference)
    )
    return _difference(ours, others)


def within_classes_p(serving: Labelled, reference: Labelled) -> float | None:
    """The probability of such a difference within the classes by chance: under a prior shift alone
    neither the scores nor the domain classifier's chances of a class change. None where a class has
    too few rows.
    """
    tests: list[float] = []
    for label in (0.0, 1.0):
        masks = [side.labels == label for side in (serving, reference)]
        if min(int(mask.sum()) for mask in masks) < FEWEST:
            return None
        for name in ("scores", "chance"):
            means = [
                _mean(getattr(side, name)[mask], np.ones(int(mask.sum())), side.blocks[mask])
                for side, mask in zip((serving, reference), masks, strict=True)
            ]
            tests.append(_difference(means[0], means[1]).p)
    return min(1.0, len(tests) * min(tests))


def name_kind(serving: Labelled, reference: Labelled, *, domain_p: float, level: float) -> Kind:
    """The kind of change, each question at `level`."""
    within = within_classes_p(serving, reference)
    if prior_step(serving, reference).p <= level and within is not None and within > level:
        return "prior"
    inputs, relation = domain_p <= level, relation_step(serving, reference).p <= level
    if inputs and relation:
        return "covariate and concept"
    if inputs:
        return "covariate"
    return "concept" if relation else "none"


def _shared(serving: Labelled, reference: Labelled) -> tuple[np.ndarray, np.ndarray]:
    return 1.0 - serving.chance, reference.chance


def _mean(values: np.ndarray, weights: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """A weighted mean and its standard error, blocks of rows being independent."""
    total = weights.sum()
    mean = float((weights * values).sum() / total)
    return mean, _cluster_error(weights * (values - mean) / total, blocks)


def _paired_error(values: np.ndarray, weights: np.ndarray, blocks: np.ndarray) -> float:
    """Of the difference between the plain and the weighted mean of the same rows."""
    plain, weighted = float(values.mean()), float(np.average(values, weights=weights))
    influence = (values - plain) / len(values) - weights * (values - weighted) / weights.sum()
    return _cluster_error(influence, blocks)


def _cluster_error(influence: np.ndarray, blocks: np.ndarray) -> float:
    _, member = np.unique(blocks, return_inverse=True)
    sums = np.bincount(member, weights=influence)
    count = len(sums)
    return float(np.sqrt((sums**2).sum() * count / max(count - 1, 1)))


def _difference(ours: tuple[float, float], others: tuple[float, float]) -> Step:
    value, error = ours[0] - others[0], math.hypot(ours[1], others[1])
    return Step(value, error, _p(value, error))


def _p(value: float, error: float) -> float:
    return math.erfc(abs(value) / error / math.sqrt(2.0)) if error > 0.0 else 1.0
