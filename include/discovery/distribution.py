"""A column's distribution and how it changed, from the profiles that every published interval left
(`include/quality/profiles.py`), so that no row is read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from include.discovery.columns import Picture, Shape
from include.features.statistics import NAMES
from include.interval import Interval
from include.quality.profiles import Profile, pool, psi
from include.quality.summaries import NAMES_SHARE

BINS = 24
FEW = 8
"""A number or text of at most so many values is shown value by value."""
MOST_VALUES = 6
TAIL = 0.005
"""The share of the rows on either side that the first and the last bar take in."""
HOURS = 24

Profiles = Sequence[tuple[Interval, Profile]]


def shapes_of(profiles: Profiles, *, hidden: bool) -> tuple[Shape, ...]:
    """The column in each interval; of one that is hidden rows and missing ones alone."""
    commonest = None if hidden or not profiles else _commonest(pool([item for _, item in profiles]))
    shapes = []
    for interval, part in profiles:
        middle = low = high = None
        if not hidden and part.kind == "number" and part.values:
            middle = part.mean
            low, high = _quantiles(part, (0.05, 0.95))
        elif commonest is not None and part.values:
            middle = part.share_of(commonest)
        shapes.append(Shape(interval.start, interval.end, part.rows, part.nulls, middle, low, high))
    return tuple(shapes)


def picture_of(profiles: Profiles) -> Picture | None:
    """The distribution over all intervals; None where there is no value.

    A text of which hardly a value comes twice is counted, and none of its values is named.
    """
    if not profiles:
        return None
    whole = pool([part for _, part in profiles])
    if not whole.values:
        return None
    about = f"{len(profiles)} intervals" if len(profiles) > 1 else "one interval"
    if whole.kind == "hour":
        shares = dict(zip(whole.values, whole.weights, strict=True))
        hours = [(f"{hour}:00", shares.get(hour, 0.0) / whole.present) for hour in range(HOURS)]
        return Picture("hours", about, tuple(hours))
    if whole.kind == "text" or len(whole.values) <= FEW:
        return _values(whole, about)
    return Picture("numbers", about, _bins(whole))


def most_changed(profiles: Profiles) -> str:
    """When it changed most from one interval to the next, and by how much (`psi`)."""
    changes = [
        (psi(before, after), interval) for (_, before), (interval, after) in pairwise(profiles)
    ]
    if not changes:
        return ""
    value, interval = max(changes, key=lambda item: item[0])
    return f"largest change from one interval to the next: PSI {value:.2g}, {interval.start:%Y-%m}"


def newest(row: Mapping[str, Any]) -> Picture | None:
    """A feature's distribution by a row of its statistics; None where it has no value."""
    about = f"the interval up to {row['interval_end']:%Y-%m-%d}"
    if row["median"] is not None:
        return Picture("quantiles", about, quantiles=tuple(row[name] for name in NAMES))
    common = json.loads(row["top_json"] or "{}")
    return Picture("values", about, tuple(common.items())) if common else None


def _commonest(whole: Profile) -> Any:
    """The commonest value of a text; None of a number, of hours, and where there is none."""
    if whole.kind != "text" or not whole.values:
        return None
    return whole.values[int(np.argmax(whole.weights))]


def _values(whole: Profile, about: str) -> Picture:
    distinct = len(whole.values)
    if distinct > FEW and distinct > NAMES_SHARE * whole.present:
        return Picture("names", f"{distinct:,} values, hardly one of which comes twice")
    common = sorted(
        zip(whole.values, whole.weights, strict=True), key=lambda pair: (-pair[1], str(pair[0]))
    )
    bars = [
        (value if isinstance(value, str) else f"{value:g}", weight / whole.present)
        for value, weight in common[:MOST_VALUES]
    ]
    rest = distinct - len(bars)
    if rest:
        bars.append((f"{rest:,} others", 1.0 - sum(share for _, share in bars)))
    return Picture("values", about, tuple(bars))


def _bins(whole: Profile) -> tuple[tuple[str, float], ...]:
    """Equal bins over all but the tails, which the outermost take in."""
    values, weights = np.asarray(whole.values, dtype=np.float64), np.asarray(whole.weights)
    low, high = _quantiles(whole, (TAIL, 1.0 - TAIL))
    if low == high:
        low, high = float(values[0]), float(values[-1])
    edges = np.linspace(low, high, BINS + 1)
    counts, _ = np.histogram(np.clip(values, low, high), edges, weights=weights)
    return tuple(
        (f"{start:.4g} to {end:.4g}", float(count) / whole.present)
        for (start, end), count in zip(pairwise(edges), counts, strict=True)
    )


def _quantiles(part: Profile, levels: Sequence[float]) -> list[float]:
    cumulated = np.cumsum(part.weights) / part.present
    places = np.minimum(np.searchsorted(cumulated, levels), len(part.values) - 1)
    return [float(part.values[place]) for place in places]
