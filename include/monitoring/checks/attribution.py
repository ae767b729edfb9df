"""Attribution drift: do the inputs still make the score as they did in training?

Each input of which a sample of rows was explained has a share of all absolute contributions, and a
lean: its signed contributions over the same total. A model's contributions follow from its inputs
together, so they move where dependences between inputs do, even if no input moves alone. Both sides
are resampled in blocks of rows that share a cause, and all inputs corrected together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from include.monitoring.checks.base import Attributed, Window, not_judged, too_few
from include.stats.bootstrap import resampled_clusters
from include.stats.two_samples import adjusted
from include.verdict import Finding

ATTRIBUTION = "attribution"
RESAMPLES = 400
TAIL = 0.025
TINY = 1e-12


@dataclass(frozen=True)
class Explained:
    """Share and lean of each input, with their standard errors; all of shape (2, inputs)."""

    values: np.ndarray
    errors: np.ndarray
    clusters: int


def attribution(window: Window) -> list[Finding]:
    """One finding for each input: what it makes of the scores, and what it made of them in
    training.
    """
    if window.attributed is None:
        return []
    few = too_few(window, ATTRIBUTION)
    if few is not None:
        return [few]
    serving, reference = window.attributed
    now, before = (_explain(side, window.seed) for side in (serving, reference))
    if now is None or before is None:
        why = "too few blocks of rows that share a cause for a decision"
        return [not_judged("minimum_blocks", ATTRIBUTION, why)]
    corrected = adjusted(_p(now, before).ravel()).reshape(now.values.shape)
    return [
        _finding(window, name, place, now, before, corrected[:, place])
        for place, name in enumerate(serving.inputs)
    ]


def _explain(side: Attributed, seed: int) -> Explained | None:
    drawn = resampled_clusters(side.blocks, seed=seed, resamples=RESAMPLES)
    if drawn is None:
        return None
    member, times = drawn
    clusters = times.shape[1]
    weights = np.vstack([np.ones(clusters), times])  # the first of them is what was seen
    sizes, leans = (
        weights @ _sums(values, member, clusters) for values in (np.abs(side.values), side.values)
    )
    total = np.maximum(sizes.sum(axis=1, keepdims=True), TINY)
    both = np.stack([sizes / total, leans / total], axis=1)
    return Explained(both[0], both[1:].std(axis=0), clusters)


def _sums(values: np.ndarray, member: np.ndarray, clusters: int) -> np.ndarray:
    """The columns' sums in each cluster, shape (clusters, inputs)."""
    columns = [np.bincount(member, weights=column, minlength=clusters) for column in values.T]
    return np.stack(columns, axis=1)


def _p(now: Explained, before: Explained) -> np.ndarray:
    """Of Student's t: few blocks know their own spread badly."""
    from scipy.stats import t as student

    error = np.hypot(now.errors, before.errors)
    change = np.abs(now.values - before.values)
    ratio = np.where(change > TINY, change / np.maximum(error, TINY), 0.0)
    return np.asarray(2.0 * student.sf(ratio, min(now.clusters, before.clusters) - 1))


def _finding(
    window: Window,
    name: str,
    place: int,
    now: Explained,
    before: Explained,
    corrected: np.ndarray,
) -> Finding:
    limits = window.limits
    change = np.abs(now.values[:, place] - before.values[:, place])
    moved = (change > limits.max_attribution_change) & (corrected <= limits.false_discovery)
    shown = [_shown(side, place) for side in (now, before)]
    method = window.attributed[0].method if window.attributed else ""
    return Finding(
        rule="contribution",
        subject=ATTRIBUTION,
        part=name,
        observed=float(change.max()),
        limit=limits.max_attribution_change,
        passed=not moved.any(),
        reason=(
            f"{name} makes {shown[0]} of all contributions ({method}), in training {shown[1]};"
            f" corrected p {corrected.min():.2g}."
        ),
        example={
            "share": float(now.values[0, place]),
            "lean": float(now.values[1, place]),
            "reference_share": float(before.values[0, place]),
            "reference_lean": float(before.values[1, place]),
            "corrected_p": [float(value) for value in corrected],
        },
    )


def _shown(side: Explained, place: int) -> str:
    """`31.0 % (29.8 to 32.2; lean +4.0 %)`."""
    from scipy.stats import t as student

    share, lean = side.values[:, place]
    half = float(student.isf(TAIL, side.clusters - 1)) * side.errors[0, place]
    low, high = max(share - half, 0.0), min(share + half, 1.0)
    return f"{100 * share:.1f} % ({100 * low:.1f} to {100 * high:.1f}; lean {100 * lean:+.1f} %)"
