"""The distribution of a column in one published interval, small enough to keep, exact enough to
compare with.

A column's profile is a set of weighted values: for text and truth values every value with its
count, for moments the hours of the day (UTC) with theirs, for numbers the values that fill more
than `HEAVY` of the rows with their counts and `POINTS` evenly spaced quantiles for the rest.
Profiles of several intervals pool by putting their points together. Two profiles are compared by
effect sizes, which do not grow with the number of rows:

* `psi`, the population stability index (Siddiqi, "Credit Risk Scorecards", 2006): over all values
  of text, over the reference's deciles for numbers.
* `shift`, the 1-Wasserstein distance in standard deviations of the reference: how far the values
  moved (PSI saturates, distance does not).

A number of which one value fills a quarter of the reference (no rain) is compared twice: the share
of that value, and the rest among themselves; otherwise the few rows that carry the information
would vanish beside the many that do not. Where the rest is fewer rows than a comparison needs (one
booking of a thousand with two babies), its own distribution says nothing: PSI looks at the share
alone, and `shift` at all rows, whose spread a few of them hardly move.

Hours of the day show a source whose clock was read in another time zone. An hour earlier or later
is daylight saving's and counts as the same; hours of which one holds a quarter of the reference are
those of a batch, which runs when it runs, and are not compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from include.stats.psi import psi as bin_psi

POINTS = 256
HEAVY = 0.05
DOMINANT = 0.25
DECILES = np.linspace(0.0, 1.0, 11)[1:-1]
KEPT_VALUES = 50_000
HOURS = list(range(24))


@dataclass(frozen=True)
class Profile:
    """Weighted values of one column;

    `weights` count rows. `kind` is `number`, `text` or `hour`; `nulls` includes NaN.
    """

    kind: str
    rows: int
    nulls: int
    values: tuple[Any, ...]
    weights: tuple[float, ...]

    @property
    def null_share(self) -> float:
        """Share of rows without a value; 0 for no rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @property
    def present(self) -> float:
        """Rows with a value."""
        return float(sum(self.weights))

    @property
    def mean(self) -> float | None:
        """Mean of a number; `None` for text and where there is no value."""
        return (
            float(np.average(self.values, weights=self.weights))
            if self.kind == "number" and self.values
            else None
        )

    def share_of(self, value: Any) -> float:
        """Share of the rows with a value that hold this one; of a number that is neither heavy nor
        of few, to the nearest quantiles.
        """
        pairs = zip(self.values, self.weights, strict=True)
        weight = sum(weight for point, weight in pairs if point == value)
        return weight / self.present if self.values else 0.0

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {
            "kind": self.kind,
            "rows": self.rows,
            "nulls": self.nulls,
            "values": list(self.values),
            "weights": list(self.weights),
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Profile:
        """The inverse of `as_json`."""
        return cls(
            fields["kind"],
            fields["rows"],
            fields["nulls"],
            tuple(fields["values"]),
            tuple(fields["weights"]),
        )


def profile(values: pl.Series) -> Profile | None:
    """The profile of a column;

    `None` for a type that has none and for text with more than `KEPT_VALUES` values.
    """
    if values.dtype.is_numeric():
        present = values.cast(pl.Float64).drop_nulls()
        finite = present.filter(present.is_finite())
        return Profile(
            "number", len(values), len(values) - len(finite), *_points(finite.to_numpy())
        )
    if isinstance(values.dtype, pl.Datetime):
        return _hours(values)
    if values.dtype not in (pl.String, pl.Boolean):
        return None
    counts = (
        values.drop_nulls().cast(pl.String).rename("value").value_counts(name="rows").sort("value")
    )
    if counts.height > KEPT_VALUES:
        return None
    return Profile(
        "text",
        len(values),
        values.null_count(),
        tuple(counts["value"]),
        tuple(float(count) for count in counts["rows"]),
    )


def pool(parts: list[Profile]) -> Profile:
    """One profile of all the rows of several; needs at least one, all of the same kind."""
    weights: dict[Any, float] = {}
    for part in parts:
        for value, weight in zip(part.values, part.weights, strict=True):
            weights[value] = weights.get(value, 0.0) + weight
    ordered = sorted(weights)
    counted = tuple(weights[value] for value in ordered)
    return Profile(
        parts[0].kind,
        sum(part.rows for part in parts),
        sum(part.nulls for part in parts),
        tuple(ordered),
        counted,
    )


def psi(reference: Profile, new: Profile, least: int = 1) -> float:
    """Population stability index of `new` against `reference`, 0 where either has no value.

    What is left beside a dominant value is compared where both sides hold `least` rows of it.
    """
    if not reference.values or not new.values:
        return 0.0
    if reference.kind == "text":
        values = sorted({*reference.values, *new.values})
        return bin_psi(_shares(reference, values), _shares(new, values))
    if reference.kind == "hour":
        return _psi_of_hours(_shares(reference, HOURS), _shares(new, HOURS))
    split, (old, now) = _without_dominant(reference, new)
    if min(old.present, now.present) < max(least, 1):
        return split
    edges = np.unique(_quantiles(old, DECILES))
    return max(split, bin_psi(_histogram(old, edges), _histogram(now, edges)))


def shift(reference: Profile, new: Profile, least: int = 1) -> float:
    """1-Wasserstein distance in standard deviations of the reference;

    0 for text and hours, and where nothing can be compared, as with a reference of one value: how
    many rows left it says PSI. What is left beside a dominant value is compared by itself where
    both sides hold `least` rows of it, together with that value otherwise.
    """
    if reference.kind != "number" or not reference.values or not new.values:
        return 0.0
    _, (old, now) = _without_dominant(reference, new)
    if old.present == 0:
        return 0.0
    if min(old.present, now.present) < max(least, 1):
        old, now = reference, new
    levels = (np.arange(POINTS) + 0.5) / POINTS
    distance = float(np.abs(_quantiles(old, levels) - _quantiles(now, levels)).mean())
    mean = np.average(old.values, weights=old.weights)
    spread = float(np.sqrt(np.average((np.asarray(old.values) - mean) ** 2, weights=old.weights)))
    if spread == 0.0:
        return 0.0 if distance == 0.0 else float("inf")
    return distance / spread


def new_share(reference: Profile, new: Profile) -> tuple[float, float]:
    """Share of the new rows whose value the reference never held, and the share to expect without
    any change.

    Expected is the Good-Turing estimate (Good, "The population frequencies of species", 1953): the
    share of the reference's rows that hold a value seen once. It is what makes a sample of aircraft
    and a year of three airports comparable.
    """
    published = set(reference.values)
    unseen = sum(
        weight
        for value, weight in zip(new.values, new.weights, strict=True)
        if value not in published
    )
    once = sum(weight for weight in reference.weights if weight == 1.0)
    return (
        unseen / new.present if new.values else 0.0,
        once / reference.present if reference.values else 1.0,
    )


def comparable_rows(reference: Profile, new: Profile) -> int:
    """The smaller number of rows with a value that a comparison of the two rests on."""
    return int(min(reference.present, new.present))


def _hours(values: pl.Series) -> Profile:
    counts = values.drop_nulls().dt.hour().cast(pl.Int64).rename("value").value_counts(name="rows")
    counts = counts.sort("value")
    weights = tuple(float(count) for count in counts["rows"])
    return Profile("hour", len(values), values.null_count(), tuple(counts["value"]), weights)


def _psi_of_hours(reference: np.ndarray, new: np.ndarray) -> float:
    """The least of the three with the clock an hour back, as it is, and an hour on."""
    if reference.max() > DOMINANT:
        return 0.0
    return min(bin_psi(np.roll(reference, hours), new) for hours in (-1, 0, 1))


def _points(values: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= POINTS:
        return tuple(map(float, distinct)), tuple(map(float, counts))
    heavy = counts > HEAVY * len(values)
    rest = np.repeat(distinct[~heavy], counts[~heavy])
    levels = np.quantile(rest, (np.arange(POINTS) + 0.5) / POINTS)
    points = np.concatenate([distinct[heavy], levels])
    weights = np.concatenate(
        [counts[heavy].astype(np.float64), np.full(POINTS, len(rest) / POINTS)]
    )
    order = np.argsort(points, kind="stable")
    return tuple(map(float, points[order])), tuple(map(float, weights[order]))


def _without_dominant(reference: Profile, new: Profile) -> tuple[float, tuple[Profile, Profile]]:
    """PSI of the dominant value's share, and both profiles without that value (unchanged where
    there is none).
    """
    position = int(np.argmax(reference.weights))
    share = reference.weights[position] / reference.present
    if share <= DOMINANT:
        return 0.0, (reference, new)
    value = reference.values[position]
    old, now = _drop(reference, value), _drop(new, value)
    shares = [
        np.array([1 - part.present / whole.present, part.present / whole.present])
        for part, whole in ((old, reference), (now, new))
    ]
    return bin_psi(*shares), (old, now)


def _drop(whole: Profile, value: Any) -> Profile:
    remaining = [
        (point, weight)
        for point, weight in zip(whole.values, whole.weights, strict=True)
        if point != value
    ]
    return Profile(
        whole.kind,
        whole.rows,
        whole.nulls,
        tuple(point for point, _ in remaining),
        tuple(weight for _, weight in remaining),
    )


def _quantiles(part: Profile, levels: np.ndarray) -> np.ndarray:
    """Inverse of the step-shaped distribution function."""
    cumulated = np.cumsum(part.weights) / part.present
    return np.asarray(part.values, dtype=np.float64)[
        np.minimum(np.searchsorted(cumulated, levels), len(part.values) - 1)
    ]


def _histogram(part: Profile, edges: np.ndarray) -> np.ndarray:
    bins = np.searchsorted(edges, np.asarray(part.values, dtype=np.float64), side="right")
    return (
        np.bincount(bins, weights=np.asarray(part.weights), minlength=len(edges) + 1) / part.present
    )


def _shares(part: Profile, values: list[Any]) -> np.ndarray:
    weights = dict(zip(part.values, part.weights, strict=True))
    return np.array([weights.get(value, 0.0) for value in values]) / part.present
