"""Schema skew: is what is served shaped like what was learned?

The schema is inferred from the rows themselves on both sides: columns, kinds, nulls, categories,
ranges. What differs is a fault of a source or of a join, not a change of the world: it alarms, and
never starts a training, which would learn the fault.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from include.monitoring.checks.base import ColumnSchema, Schema, Side, Window, too_few
from include.spec import Monitoring
from include.verdict import Finding

SCHEMA_SKEW = "schema_skew"
MOST_CATEGORIES = 1_000
FEWEST_ROWS = 5
"""Rows below which a new value or a number out of range is an outlier and no schema."""
FEWEST_REPEATS = 3
"""Of one and the same number far out of range: a sentinel."""
FAR_SHARE = 0.1
"""Of `max_schema_share`: numbers further from the training's range than it is wide are no chance.
"""
SHOWN = 5


def infer_schema(frame: pl.DataFrame) -> Schema:
    """The schema of a frame as its values show it."""
    return Schema({name: _inferred(frame[name]) for name in frame.columns}, frame.height)


def schema_skew(window: Window) -> list[Finding]:
    """One finding for each thing that differs, or a single one that says that nothing does."""
    few = too_few(window, SCHEMA_SKEW)
    if few is not None:
        return [few]
    serving, reference = (_schema_of(side) for side in (window.serving, window.reference))
    faults = list(_shape(serving, reference))
    for name, column in serving.columns.items():
        learned = reference.columns.get(name)
        if learned is not None and learned.kind == column.kind:
            faults += _nulls(name, column, learned, window.limits)
            faults += _domain(name, column, learned, serving.rows, window.limits)
            values = window.serving.sample.columns.get(name)
            if values is not None and learned.low is not None and learned.high is not None:
                faults += _range(name, values, (learned.low, learned.high), window.limits)
    if faults:
        return faults
    return [
        Finding(
            rule="schema",
            subject=SCHEMA_SKEW,
            passed=True,
            reason=f"{len(serving.columns)} columns are shaped as in training.",
        )
    ]


def _schema_of(side: Side) -> Schema:
    """The side's own, or that of its sample's numbers."""
    if side.schema is not None:
        return side.schema
    columns = {
        name: _numbers(values)
        for name, values in side.sample.columns.items()
        if name not in side.sample.categories
    }
    return Schema(columns, side.rows)


def _numbers(values: np.ndarray) -> ColumnSchema:
    present = values[~np.isnan(values)]
    empty = 1.0 - len(present) / max(len(values), 1)
    if not present.size:
        return ColumnSchema("number", empty)
    return ColumnSchema("number", empty, low=float(present.min()), high=float(present.max()))


def _inferred(values: pl.Series) -> ColumnSchema:
    dtype = values.dtype
    if dtype == pl.Boolean:
        return ColumnSchema("truth", _null_share(values))
    if dtype.is_numeric():
        return _numbers(values.cast(pl.Float64).to_numpy())
    if dtype.is_temporal():
        return ColumnSchema("time", _null_share(values))
    # In one order: the shares of several values are added up.
    counts = values.drop_nulls().cast(pl.String).value_counts().sort(values.name)
    if counts.height > MOST_CATEGORIES:
        return ColumnSchema("text", _null_share(values))
    shares = {str(name): count / len(values) for name, count in counts.iter_rows()}
    return ColumnSchema("text", _null_share(values), shares)


def _null_share(values: pl.Series) -> float:
    return values.null_count() / max(len(values), 1)


def _shape(serving: Schema, reference: Schema) -> Iterator[Finding]:
    for name, learned in reference.columns.items():
        column = serving.columns.get(name)
        if column is None:
            yield _fault("missing_column", name, f"{name} is missing from what is served.")
        elif column.kind != learned.kind:
            yield _fault(
                "retyped", name, f"{name} is a {column.kind}, in training it was a {learned.kind}."
            )
    for name in serving.columns:
        if name not in reference.columns:
            yield _fault("new_column", name, f"{name} is served and was not in training.")


def _nulls(
    name: str, column: ColumnSchema, learned: ColumnSchema, limits: Monitoring
) -> Iterator[Finding]:
    rise = column.null_share - learned.null_share
    if rise > limits.max_null_change:
        yield _fault(
            "null_share",
            name,
            f"{100 * column.null_share:.1f} % of {name} are null, in training"
            f" {100 * learned.null_share:.1f} %.",
            observed=rise,
            limit=limits.max_null_change,
        )


def _domain(
    name: str, column: ColumnSchema, learned: ColumnSchema, rows: int, limits: Monitoring
) -> Iterator[Finding]:
    if not learned.shares or not column.shares:
        return
    new = {value: share for value, share in column.shares.items() if value not in learned.shares}
    share = sum(new.values())
    if share > limits.max_schema_share and share * rows >= FEWEST_ROWS:
        shown = sorted(new, key=lambda value: -new[value])[:SHOWN]
        yield _fault(
            "domain",
            name,
            f"{100 * share:.1f} % of {name} are values that training never met, such as"
            f" {', '.join(repr(value) for value in shown)}.",
            observed=share,
            limit=limits.max_schema_share,
        )


def _range(
    name: str, values: np.ndarray, learned: tuple[float, float], limits: Monitoring
) -> Iterator[Finding]:
    low, high = learned
    width, limit = high - low, FAR_SHARE * limits.max_schema_share
    far = values[(values < low - width) | (values > high + width)]
    if far.size < FEWEST_REPEATS or far.size <= limit * len(values):
        return
    common, times = np.unique(far, return_counts=True)
    if far.size >= FEWEST_ROWS or times.max() >= FEWEST_REPEATS:
        yield _fault(
            "range",
            name,
            f"{far.size} of {len(values)} values of {name} lie far outside of training's range"
            f" {low:.5g} to {high:.5g}; the commonest is {common[times.argmax()]:.5g}.",
            observed=far.size / len(values),
            limit=limit,
        )


def _fault(
    rule: str, name: str, reason: str, observed: float | None = None, limit: float | None = None
) -> Finding:
    return Finding(
        rule=rule,
        subject=SCHEMA_SKEW,
        part=name,
        observed=observed,
        limit=limit,
        passed=False,
        reason=reason,
    )
