"""Tests that stay valid however often one looks, by e-values and confidence sequences.

An e-value is evidence against a hypothesis that is at most 1 on average while the hypothesis holds,
at whatever moment one stops. By Ville's inequality (1939) it then exceeds 1 / alpha, at any moment
of an endless watch, with a probability of at most alpha. So a rollout may be looked at after every
request. All functions return natural logarithms of e-values: reject where one is at least
`log_threshold(alpha)`. They take numbers or arrays (one e-value per element).

**Events of two arms** (errors, slow answers), `share` of the traffic on the challenger. While both
arms have one rate, each event lies on the challenger with probability `share`; if the challenger's
rate is r times the champion's, with probability z(r) = share r / (share r + 1 - share). With k of n
events on the challenger,

    e = sum over r of weight(r) (z(r) / share)^k ((1 - z(r)) / (1 - share))^(n - k)

is a mixture of likelihood ratios, hence an e-value (Robbins, "Statistical methods related to the
law of the iterated logarithm", 1970; Wald, 1945, for one r). Only ratios above 1 are in it: it is
one-sided, and a challenger that is better never fails. Where the share changes between the steps of
a rollout, the terms of each r are added up over the steps before they are mixed (`excess_terms`,
`mixed`), so evidence is carried on, and one alpha covers the whole rollout.

**Any dependence of arm and outcome** (bins of scores): with k of n events on the challenger in each
bin,

    e = product over bins of B(a + k, b + n - k) / (B(a, b) share^k (1 - share)^(n - k))

with a = c share, b = c (1 - share): the beta-binomial mixture of Robbins (1970), for categories
Lindon and Malek ("Anytime-valid inference for multinomial count data", 2022).

**One rate above a limit** (disagreement of pairs): e = B(a + k, b + n - k) / (B(a, b) p^k
(1 - p)^(n - k)) with a = b = 1/2, the limit p excluded from below where k / n > p.

**A difference of means** (losses, rewards): the normal mixture boundary of Robbins (1970; Howard,
Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences",
Annals of Statistics 2021, eq. 14) with the variance that was observed, which makes it an asymptotic
confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", 2021, eq. 4): with t outcomes in all and a difference
whose standard error is s,

    difference +- s sqrt(2 (t q + 1) / (t q) ln(sqrt(t q + 1) / alpha))

where q puts its narrowest point at a chosen number of outcomes (their eq. 57).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RATIOS = (1.5, 2.5, 7.0)
"""How many times worse than the champion a challenger is supposed to be. A ratio between them is
caught too, a little later than by its own term.
"""
WEIGHTS = (0.06, 0.71, 0.23)
"""Most weight lies on twice to three times as bad, which must be caught soon; 1.5 catches less at
last. `make bench-release` measures what another choice costs.
"""
BUSY_DEVIATIONS = 3.0
"""Standard deviations beyond which a share of the rows is not what chance makes of the planned."""
CONCENTRATION = 10.0
"""c of the beta-binomial mixture: how sure it is beforehand that nothing depends on the arm."""
JEFFREYS = 0.5

Floats = np.ndarray[Any, np.dtype[np.float64]]


def log_threshold(alpha: float) -> float:
    """The logarithm that an e-value must reach to reject at the level `alpha`."""
    return -math.log(alpha)


def excess_terms(hits: ArrayLike, events: ArrayLike, share: ArrayLike) -> Floats:
    """Log likelihood ratios of every supposed ratio, shape (..., ratios): `hits` of the `events` of
    both arms lie on the challenger, which has `share` (above 0, below 1) of the traffic.

    Terms of steps with different shares may be added before they are `mixed`.
    """
    hits, events, share = (np.asarray(part, dtype=np.float64) for part in (hits, events, share))
    ratios = np.asarray(RATIOS)
    denominator = share[..., None] * ratios + (1.0 - share[..., None])
    on_challenger = np.log(ratios / denominator)
    on_champion = -np.log(denominator)
    return np.asarray(hits[..., None] * on_challenger + (events - hits)[..., None] * on_champion)


def mixed(terms: Floats) -> Floats:
    """The log e-value of `excess_terms`: their weighted mixture over the last axis."""
    return np.asarray(np.logaddexp.reduce(terms + np.log(WEIGHTS), axis=-1))


def excess_evidence(hits: ArrayLike, events: ArrayLike, share: ArrayLike) -> Floats:
    """The log e-value against "the challenger's rate of events is at most the champion's"."""
    return mixed(excess_terms(hits, events, share))


def busy_share(rows: ArrayLike, total: ArrayLike, share: ArrayLike) -> Floats:
    """The share of `total` rows that events fall on by chance: the planned `share`, or the larger
    one that the challenger got where its `rows` are too many for chance.

    Units differ in how much they ask: a busy one must not make its version look bad.
    """
    rows, total, share = (np.asarray(part, dtype=np.float64) for part in (rows, total, share))
    likely = total * share + BUSY_DEVIATIONS * np.sqrt(total * share * (1.0 - share))
    return np.asarray(np.where(rows > likely, rows / np.maximum(total, 1.0), share))


def dependence_evidence(hits: ArrayLike, events: ArrayLike, share: float) -> Floats:
    """The log e-value against "the outcome does not depend on the arm".

    `hits` (on the challenger) of `events` (on both) per outcome, shape (..., outcomes).
    """
    hits, events = np.asarray(hits, dtype=np.float64), np.asarray(events, dtype=np.float64)
    first, second = CONCENTRATION * share, CONCENTRATION * (1.0 - share)
    null = hits * math.log(share) + (events - hits) * math.log1p(-share)
    return np.asarray((_beta_ratio(hits, events, first, second) - null).sum(axis=-1))


def rate_evidence(hits: ArrayLike, trials: ArrayLike, limit: float) -> Floats:
    """The log e-value against "the rate of hits is at most `limit`" (above 0, below 1); 0 where the
    observed rate does not exceed it.
    """
    hits, trials = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    null = hits * math.log(limit) + (trials - hits) * math.log1p(-limit)
    evidence = _beta_ratio(hits, trials, JEFFREYS, JEFFREYS) - null
    return np.asarray(np.where(hits > limit * trials, evidence, 0.0))


def largest_rate(hits: float, trials: float, alpha: float) -> float:
    """The exact upper bound (Clopper and Pearson, 1934) of a rate whose number of trials was fixed
    beforehand: it lies below the true rate with a probability of at most `alpha`.
    """
    from scipy.stats import beta

    return 1.0 if hits >= trials else float(beta.ppf(1.0 - alpha, hits + 1, trials - hits))


@dataclass(frozen=True)
class Sample:
    """The outcomes of one arm: how many, their mean and their variance."""

    rows: int
    mean: float
    variance: float


@dataclass(frozen=True)
class Bounds:
    """A difference, and where it lies with 1 - alpha at all moments at once."""

    difference: float
    low: float
    high: float


def difference_bounds(
    challenger: Sample, champion: Sample, *, alpha: float, sharpest: int, spread: float
) -> Bounds:
    """The confidence sequence of the challenger's mean less the champion's, two-sided.

    `sharpest` is the number of outcomes of both arms for which it is made narrowest, the least that
    one decides on; below it the approximation is not to be trusted. `spread` is the width of the
    outcomes' range: an arm whose outcomes were all the same is not taken to have no variance, but
    that of one more outcome half a range away.
    """
    error = math.sqrt(sum(_variance(arm, spread) / arm.rows for arm in (challenger, champion)))
    doubled = -2.0 * math.log(alpha)
    scaled = (challenger.rows + champion.rows) * (doubled + math.log(doubled + 1.0)) / sharpest
    factor = 2.0 * (scaled + 1.0) / scaled * math.log(math.sqrt(scaled + 1.0) / alpha)
    difference, radius = challenger.mean - champion.mean, error * math.sqrt(factor)
    return Bounds(difference, difference - radius, difference + radius)


def _variance(arm: Sample, spread: float) -> float:
    return (arm.rows * arm.variance + spread**2 / 4.0) / (arm.rows + 1)


def _beta_ratio(hits: Floats, events: Floats, first: float, second: float) -> Floats:
    """Log of B(first + hits, second + events - hits) / B(first, second)."""
    from scipy.special import betaln

    return np.asarray(betaln(first + hits, second + events - hits) - betaln(first, second))
