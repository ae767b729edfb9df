"""A training set against the champion's own training data, as the champion's package recorded it in
reference.json.

Seasons move numbers far from a quarter of the year, so a number is judged by how far its deciles
moved, in spans between the champion's lowest and highest decile: a change of unit is tens of them,
a summer less than two. Categories and the hours and weekdays of a timestamp are judged by PSI. Both
are effect sizes; below `minimum_rows` on either side nothing is judged.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.errors import FlightdeckError
from include.features.transform import FeatureTransform, source_column
from include.model.package import load_model
from include.model.reference import bin_shares
from include.problems.registry import strategy_of
from include.quality.validation import example_row
from include.registry.versions import RegisteredVersion, download
from include.spec import Input, UseCase
from include.stats.psi import psi
from include.verdict import Finding, broken_rule

# Not the month: its distribution is the season of the window, and moves with every window.
COMPARED = ("category", "local_hour", "local_weekday")
LEAST_EDGES = 2


@dataclass(frozen=True)
class ChampionReference:
    """What a champion's package says of its training data."""

    version: int
    transform: FeatureTransform
    reference: Mapping[str, Any]
    base_rate: float
    prior: tuple[float, ...] = ()
    label_spread: float | None = None
    trained_from: datetime | None = None


def champion_reference(
    use_case: UseCase, current: RegisteredVersion | None, table: str
) -> tuple[ChampionReference | None, list[Finding]]:
    """The reference of the champion `current`; `None` without one.

    A package that cannot be read is a failure, not a pass.
    """
    if current is None:
        return None, []
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = load_model(download(current, Path(folder)), expected_digest=current.digest)
        except FlightdeckError as error:
            expected = f"the package of champion {current.version}, unaltered"
            return None, [
                broken_rule(
                    table, "", "reference", expected, f"{type(error).__name__}: {error}", None
                )
            ]
    champion_metadata = model.metadata
    if champion_metadata.problem != use_case.problem.kind:
        expected = f"a champion whose problem is {use_case.problem.kind}"
        return None, [
            broken_rule(
                table,
                "",
                "reference",
                expected,
                f"champion {current.version} is a {champion_metadata.problem} model",
                None,
            )
        ]
    return (
        ChampionReference(
            current.version,
            model.transform,
            model.reference,
            champion_metadata.base_rate,
            champion_metadata.prior,
            champion_metadata.label_spread,
            champion_metadata.window_start,
        ),
        [],
    )


def against_champion(
    use_case: UseCase, frame: pl.DataFrame, table: str, champion: ChampionReference
) -> tuple[list[Finding], list[str]]:
    """The broken rules, and notes on what could not be judged.

    An input that only one of the two has is noted, for there is nothing to compare: one that is
    new, and one that the specification declares no more or reads as another type.
    """
    if _lies_before(use_case, frame, champion):
        return [], [
            (
                f"{table}: not compared with champion {champion.version}, whose training data begin"
                f" later ({champion.trained_from})"
            )
        ]
    checks = use_case.data_checks
    rows = min(frame.height, int(champion.reference["rows"]))
    if rows < checks.minimum_rows:
        return [], [
            f"{table}: not compared with champion {champion.version}: {rows} rows on one side,"  # noqa: ISC004
            f" {checks.minimum_rows} needed"
        ]
    common, notes = _common_inputs(use_case, frame, table, champion)
    transform = champion.transform.model_copy(update={"inputs": common})
    lacking = sorted({transform.column(item) for item in common} - set(frame.columns))
    if lacking:
        expected = f"the inputs of champion {champion.version}"
        return [
            broken_rule(table, "", "reference", expected, f"the training set lacks {lacking}", None)
        ], []
    matrix = transform.apply_frame(frame)
    failures = _label(use_case, frame, table, champion)
    for position, item in enumerate(common):
        entry, column = champion.reference["inputs"][item.name], transform.column(item)
        broken, note = _input(use_case, entry, matrix[:, position], item.kind)
        if broken:
            rule, limit, seen = broken
            expected = f"{limit} from champion {champion.version}'s training data"
            failures.append(
                broken_rule(
                    table, column, rule, expected, f"{seen} ({item.name})", example_row(frame)
                )
            )
        notes += [f"{table}.{column}: {note}"] if note else []
    champion_metadata = {item.name for item in champion.transform.inputs}
    notes += [
        f"{table}: input {item.name} is new: champion {champion.version} has none"
        for item in use_case.inputs
        if item.name not in champion_metadata
    ]
    return failures, notes


def _lies_before(use_case: UseCase, frame: pl.DataFrame, champion: ChampionReference) -> bool:
    """Whether all rows are older than the champion's: it is no reference for history."""
    if champion.trained_from is None or frame.height == 0:
        return False
    older = pl.col(use_case.event_time) < champion.trained_from
    return bool(frame.select(older.all()).item())


def _common_inputs(
    use_case: UseCase, frame: pl.DataFrame, table: str, champion: ChampionReference
) -> tuple[tuple[Input, ...], list[str]]:
    """The champion's inputs that the specification still reads, and notes on the others."""
    declared = {source_column(item) for item in use_case.inputs}
    common, notes = [], []
    for item in champion.transform.inputs:
        column = source_column(item)
        if column not in declared:
            notes.append(
                f"{table}: input {item.name} of champion {champion.version} is not compared: the"
                f" specification reads {item.source} no more"
            )
        elif column in frame.columns and not _fits(frame.schema[column], item.kind):
            notes.append(
                f"{table}: input {item.name} is not compared: champion {champion.version} read"
                f" {item.source} as {item.kind}, now it is {frame.schema[column]}"
            )
        else:
            common.append(item)
    return tuple(common), notes


def _fits(dtype: pl.DataType, kind: str) -> bool:
    """Whether an input of the kind can read the column; one without a value fits any."""
    if dtype == pl.Null:
        return True
    if kind == "number":
        return dtype.is_numeric() or dtype == pl.Boolean
    return dtype == pl.String if kind == "category" else isinstance(dtype, pl.Datetime)


def decile_shift(edges: np.ndarray, values: np.ndarray) -> float | None:
    """Mean distance of the values' deciles from the reference's, in spans of its edges; `None`
    where the edges span nothing.

    The edges are inner deciles of the reference, repeated ones dropped, so each stands for its rank
    among those that are left.
    """
    present = values[~np.isnan(values)]
    if len(edges) < LEAST_EDGES or len(present) == 0:
        return None
    span = float(edges[-1] - edges[0])
    # Edges one float apart enclose a single value.
    if span <= np.spacing(np.float32(np.abs(edges).max())) * LEAST_EDGES:
        return None
    levels = np.linspace(0.0, 1.0, len(edges) + LEAST_EDGES)[1:-1]
    return float(np.abs(np.quantile(present, levels) - edges).mean() / span)


def _label(
    use_case: UseCase, frame: pl.DataFrame, table: str, champion: ChampionReference
) -> list[Finding]:
    """The labels have not moved by more than the limit of their kind."""
    moved = strategy_of(use_case).label_move(frame, champion, use_case.data_checks)
    if moved.distance <= moved.limit:
        return []
    expected = moved.expected.format(champion=f"champion {champion.version}")
    column = use_case.label.column
    return [broken_rule(table, column, "label share", expected, moved.observed, example_row(frame))]


def _input(
    use_case: UseCase, entry: Mapping[str, Any], values: np.ndarray, kind: str
) -> tuple[tuple[str, str, str] | None, str]:
    """Rule, limit and what was seen of the first rule that is broken; or a note."""
    checks = use_case.data_checks
    shares = bin_shares(entry, values)
    missing = shares[-1] - float(entry["missing_share"])
    if missing > checks.max_null_change:
        return (
            "null share",
            f"at most {checks.max_null_change} more missing or unseen values",
            f"{shares[-1]:.2%} missing",
        ), ""
    if kind in COMPARED:
        distance, limit = psi(entry["shares"], shares), checks.max_snapshot_psi
        return (
            ("distribution (PSI)", f"a PSI of at most {limit}", f"{distance:.3f}")
            if distance > limit
            else None
        ), ""
    moved = decile_shift(np.asarray(entry["edges"], dtype=np.float64), values)
    if moved is None:
        return None, "its distribution was not compared: one value fills the champion's deciles"
    limit = checks.max_snapshot_shift
    return (
        ("distribution (shift)", f"deciles at most {limit} spans", f"{moved:.3f} spans")
        if moved > limit
        else None
    ), ""
