"""What the training data looked like, column by column and split by split: the artefact
`data_summary.json` of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

SUMMARY_FILE = "data_summary.json"
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP = 10
NAMES_SHARE = 0.5


def summarise(splits: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, dict[str, Any]]]:
    """`{split: {column: facts}}`, plain JSON, with all splits together as `all`."""
    columns = next(iter(splits.values())).columns
    return summarise_columns(list(splits), columns, lambda split, name: splits[split][name])


def summarise_columns(
    splits: Sequence[str], columns: Sequence[str], read: Callable[[str, str], pl.Series]
) -> dict[str, dict[str, dict[str, Any]]]:
    """The same of splits of which `read(split, column)` gives one column at a time."""
    summary: dict[str, dict[str, dict[str, Any]]] = {split: {} for split in (*splits, "all")}
    for name in columns:
        parts = {split: read(split, name) for split in splits}
        for split, values in {**parts, "all": pl.concat(parts.values())}.items():
            summary[split][name] = _facts(values)
    return summary


def summarise_frame(frame: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Per column: `type`, `rows`, `nulls` (NaN among them), `distinct` values, and

    of a number `mean`, `deviation` (standard deviation), `minimum`, `maximum` and `quantiles`
    (nearest value); of text and truth values the `TOP` commonest with their counts (`top`, ties by
    name; none of an id's); of a timestamp `minimum` and `maximum` in ISO 8601.
    """
    return {column.name: _facts(column) for column in frame.get_columns()}


def _facts(column: pl.Series) -> dict[str, Any]:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    present = column.drop_nulls()
    facts: dict[str, Any] = {
        "type": str(column.dtype),
        "rows": len(column),
        "nulls": column.null_count(),
        "distinct": present.n_unique(),
    }
    if column.dtype.is_numeric():
        return {**facts, **_number(present)}
    if column.dtype in (pl.String, pl.Boolean):
        # Where hardly a value comes twice, as in an id, none is common.
        named = facts["distinct"] <= len(present) * NAMES_SHARE or facts["distinct"] <= TOP
        return {**facts, "top": _top(present) if named else []}
    bounds = (("minimum", present.min()), ("maximum", present.max()))
    return {**facts, **{name: None if value is None else _iso(value) for name, value in bounds}}


def _number(present: pl.Series) -> dict[str, Any]:
    ordered, last = present.sort(), len(present) - 1
    quantiles = {
        f"{share:g}": ordered[round(share * last)] if last >= 0 else None for share in QUANTILES
    }
    return {
        "mean": present.mean(),
        "deviation": present.std(),
        "minimum": present.min(),
        "maximum": present.max(),
        "quantiles": quantiles,
    }


def _top(present: pl.Series) -> list[dict[str, Any]]:
    counts = present.cast(pl.String).rename("value").value_counts(name="rows")
    return counts.sort(["rows", "value"], descending=[True, False]).head(TOP).to_dicts()


def _iso(value: Any) -> str:
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def rows_of(summary: Mapping[str, Mapping[str, Mapping[str, Any]]], split: str) -> list[list[str]]:
    """A split's facts as cells: column, type, rows, missing, distinct, mean or commonest, 5 %,
    median, 95 %.
    """
    return [[name, *_cells(facts)] for name, facts in summary[split].items()]


def _cells(facts: Mapping[str, Any]) -> list[str]:
    missing = f"{facts['nulls'] / facts['rows']:.1%}" if facts["rows"] else "-"
    head = [
        str(facts["type"]).split("(")[0],
        f"{facts['rows']:,}",
        missing,
        f"{facts['distinct']:,}",
    ]
    if "quantiles" in facts:
        middle = [facts["mean"], *(facts["quantiles"][share] for share in ("0.05", "0.5", "0.95"))]
        return [*head, *("-" if value is None else f"{value:.4g}" for value in middle)]
    if "top" in facts:
        return [
            *head,
            ", ".join(f"{entry['value']} {entry['rows']:,}" for entry in facts["top"][:3]) or "-",
            "-",
            "-",
            "-",
        ]
    return [*head, "-", *(str(facts[bound] or "-")[:16] for bound in ("minimum", "maximum")), "-"]


HEADINGS = (
    "column",
    "type",
    "rows",
    "missing",
    "distinct",
    "mean or commonest",
    "5 %",
    "median",
    "95 %",
)
