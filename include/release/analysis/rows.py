"""The rows of the inference log that a rollout is judged by, and their counts.

Everything is counted over arrays of one length, so that the whole traffic and each of its slices
are counted by the same lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from include.inference_log.log import CHAMPION, SHADOW, log_table
from include.release.analysis.observed import ArmWindow, Clustering, Comparison
from include.release.plan import Plan, PlannedArm
from include.spec import UseCase
from include.tables.store import TableStore

BEFORE_ROWS = 5_000
"""The champion's newest rows before the rollout say what is slow, and stand for it where it answers
nothing any more.
"""
ENOUGH_BEFORE = 100
MISSING_FEATURES = ("unknown:", "stale:")
PERCENTILE = 0.95
TRACED = {"plan": pl.Int64, "model_digest": pl.String, "fallback": pl.String, "arm": pl.String}
"""What rows from before the plans lack."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class LoggedRows:
    """Rows of the log as arrays of shape (rows,), and the frame that they come from.

    `step` is the plan's place in the rollout, `bins` the score's bin between `edges` (the last one
    holds what is no number); `failed` and `lacking` are errors and missing features of `ArmWindow`.
    `units` numbers the units, `moments` the seconds in which the rows were answered. `compared` are
    the rows that say something of both arms: of a shadow's plan only those that both scored.
    """

    frame: pl.DataFrame
    step: np.ndarray
    challenger: Flags
    failed: Flags
    lacking: Flags
    latency_ms: np.ndarray
    bins: np.ndarray
    edges: tuple[float, ...]
    units: np.ndarray
    moments: np.ndarray
    compared: Flags

    def window(
        self, arm: PlannedArm, plan: int, chosen: Flags, slow_ms: float | None, units: int | None
    ) -> ArmWindow:
        """Count the chosen rows of one arm."""
        own = chosen & ~self.failed
        latencies = self.latency_ms[chosen]
        counts = np.bincount(self.bins[own], minlength=len(self.edges) + 2) if self.edges else ()
        return ArmWindow(
            role=arm.role,
            version=arm.version,
            digest=arm.digest,
            plan=plan,
            share=arm.share,
            rows=int(chosen.sum()),
            errors=int((chosen & self.failed).sum()),
            fallbacks=int((chosen & self.lacking).sum()),
            slow=0 if slow_ms is None else int((latencies > slow_ms).sum()),
            p95_ms=float(np.quantile(latencies, PERCENTILE)) if latencies.size else None,
            scores=tuple(int(count) for count in counts),
            units=units,
        )


def challenger_of(plan: Plan) -> PlannedArm | None:
    """The version that a plan tries, among its arms or as its shadow."""
    return next((arm for arm in plan.versions if arm.role != CHAMPION), None)


def rows_of_plans(use_case: UseCase, tables: TableStore, plans: Sequence[Plan]) -> pl.DataFrame:
    """The log's rows of the plans, in their order; columns from before the plans are null."""
    sequences = [plan.sequence for plan in plans]
    return _read(use_case, tables, pl.col("plan").is_in(sequences))


def rows_before(
    use_case: UseCase, tables: TableStore, champion: PlannedArm, first: int
) -> pl.DataFrame:
    """The champion's newest rows before the rollout's first plan."""
    same = (pl.col("model_digest") == champion.digest) | (
        pl.col("model_digest").is_null() & (pl.col("model_version") == champion.version)
    )
    earlier = pl.col("plan").is_null() | (pl.col("plan") < first)
    answered = pl.col("arm").fill_null(CHAMPION) == CHAMPION
    return _read(use_case, tables, same & earlier & answered).tail(BEFORE_ROWS)


def foreign_rows(rows: pl.DataFrame, plans: Sequence[Plan]) -> dict[str, int]:
    """Rows by digest that their plan does not let answer: another package than the arm's, or than
    the champion's where the arm had failed.
    """
    allowed = [
        (plan.sequence, arm.role, failed, digest)
        for plan in plans
        for arm in plan.versions
        for failed, digest in (
            (False, arm.digest),
            # Nobody stands in for a shadow.
            (
                True,
                plan.champion.digest if plan.champion and arm.role != "shadow" else arm.digest,
            ),
        )
    ]
    columns = ["plan", "arm", "failed", "model_digest"]
    schema = {"plan": pl.Int64, "arm": pl.String, "failed": pl.Boolean, "model_digest": pl.String}
    named = pl.DataFrame(allowed, schema=schema, orient="row")
    marked = rows.select("plan", "arm", "model_digest", failed=pl.col("fallback").is_not_null())
    counted = marked.join(named, on=columns, how="anti", nulls_equal=True)["model_digest"]
    return {
        str(digest or "unknown"): int(count)
        for digest, count in counted.value_counts().sort("model_digest").iter_rows()
    }


def as_arrays(
    rows: pl.DataFrame, plans: Sequence[Plan], edges: Sequence[float], unit: Sequence[str]
) -> LoggedRows:
    """The rows as arrays; without `edges` no scores are binned. Where the log does not hold all
    columns of the unit, every row is one.
    """
    places = {plan.sequence: place for place, plan in enumerate(plans)}
    lacking = pl.any_horizontal(
        pl.col("flags").list.eval(pl.element().str.starts_with(prefix)).list.any()
        for prefix in MISSING_FEATURES
    )
    scores = rows["score"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    arrays = rows.select(
        step=pl.col("plan").replace_strict(places, default=0, return_dtype=pl.Int64),
        challenger=pl.col("arm") != CHAMPION,
        fallback=pl.col("fallback").is_not_null(),
        lacking=lacking.fill_null(value=False),
        latency=pl.col("latency_ms").fill_null(0.0),
    )
    return LoggedRows(
        frame=rows,
        step=arrays["step"].to_numpy(),
        challenger=arrays["challenger"].to_numpy(),
        failed=arrays["fallback"].to_numpy() | ~np.isfinite(scores),
        lacking=arrays["lacking"].to_numpy(),
        latency_ms=arrays["latency"].to_numpy(),
        bins=_bins(scores, edges),
        edges=tuple(edges),
        units=_units(rows, unit),
        moments=rows["answered_at"].dt.epoch("s").to_numpy(),
        compared=_compared(rows, plans),
    )


def answer_id() -> pl.Expr:
    """The id of the answer that a shadow's row stands beside; they differ in the digit that says
    which version of UUID an id is.
    """
    identifier = pl.col("prediction_id")
    return identifier.str.slice(0, 12) + pl.lit("7") + identifier.str.slice(13)


def comparisons(
    rows: LoggedRows, plans: Sequence[Plan], chosen: Flags, slow_ms: float | None
) -> tuple[Comparison, ...]:
    """Both arms' windows of every plan, over the chosen rows."""
    result = []
    for place, plan in enumerate(plans):
        champion, challenger = plan.champion, challenger_of(plan)
        if champion is None or challenger is None:
            continue
        here = chosen & rows.compared & (rows.step == place)
        result.append(
            Comparison(
                rows.window(champion, plan.sequence, here & ~rows.challenger, slow_ms, None),
                rows.window(challenger, plan.sequence, here & rows.challenger, slow_ms, None),
                concurrent=champion.share > 0.0 or challenger.role == "shadow",
                clustering=_clustering(rows, here, slow_ms),
            )
        )
    return tuple(result)


def units_of(rows: LoggedRows, chosen: Flags, columns: Sequence[str]) -> int | None:
    """The distinct units of the chosen rows; None where the log does not hold all of their
    columns.
    """
    if not columns or any(name not in rows.frame.columns for name in columns):
        return None
    return rows.frame.filter(chosen).select(columns).unique().height


def _read(use_case: UseCase, tables: TableStore, where: pl.Expr) -> pl.DataFrame:
    name = log_table(use_case.name)
    if not tables.exists(name):
        return pl.DataFrame()
    stored = tables.scan(name)
    columns = stored.collect_schema().names()
    whole = stored.with_columns(
        pl.lit(None, dtype=dtype).alias(column)
        for column, dtype in TRACED.items()
        if column not in columns
    )
    return (
        whole.filter(where)
        .select(pl.exclude("attributions"))
        .sort("answered_at", "prediction_id")
        .collect()
    )


def _units(rows: pl.DataFrame, unit: Sequence[str]) -> np.ndarray:
    if not unit or any(name not in rows.columns for name in unit):
        return np.arange(rows.height)
    return rows.select(pl.struct(unit).rank("dense").cast(pl.Int64) - 1)[:, 0].to_numpy()


def _compared(rows: pl.DataFrame, plans: Sequence[Plan]) -> Flags:
    """A shadow misses rows: those of its start, and those that it was too slow for. What the
    champion answered then is other traffic than what the shadow scored.
    """
    mirrored = rows.filter(pl.col("arm") == SHADOW).select(prediction_id=answer_id())
    shadowed = [plan.sequence for plan in plans if plan.shadow is not None]
    answered_alone = (
        pl.col("plan").is_in(shadowed)
        & (pl.col("arm") == CHAMPION)
        & ~pl.col("prediction_id").is_in(mirrored["prediction_id"].implode())
    )
    return rows.select(~answered_alone)[:, 0].fill_null(value=True).to_numpy()


def _clustering(rows: LoggedRows, chosen: Flags, slow_ms: float | None) -> Clustering:
    """The design effects of the chosen rows.

    Slow rows are those of a request, and of a moment in which the machine had other things to do,
    as much as of a unit; the larger effect counts.
    """
    slow = np.zeros(len(chosen), dtype=bool) if slow_ms is None else rows.latency_ms > slow_ms
    count = len(rows.edges) + 2 if rows.edges else 0
    in_bins = [rows.bins == number for number in range(count)]
    arms = [chosen & rows.challenger, chosen & ~rows.challenger]
    return Clustering(
        errors=_design_effect(rows.units, arms, [rows.failed]),
        fallbacks=_design_effect(rows.units, arms, [rows.lacking]),
        slow=max(_design_effect(alike, arms, [slow]) for alike in (rows.units, rows.moments)),
        scores=_design_effect(rows.units, [arm & ~rows.failed for arm in arms], in_bins),
    )


def _design_effect(alike: np.ndarray, arms: Sequence[Flags], events: Sequence[Flags]) -> float:
    """The variance of the events of rows that are `alike` in a number, over that of as many
    independent rows, within each arm.
    """
    squares = expected = 0.0
    for arm in arms:
        _, clusters = np.unique(alike[arm], return_inverse=True)
        sizes = np.bincount(clusters)
        for event in events:
            hits = np.bincount(clusters, weights=event[arm])
            total = sizes.sum()
            rate = hits.sum() / total if total else 0.0
            squares += float(((hits - rate * sizes) ** 2).sum())
            expected += float(total * rate * (1.0 - rate))
    return max(squares / expected, 1.0) if expected else 1.0


def _bins(scores: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """As `include.model.reference.bin_counts` cuts them."""
    numbers = np.searchsorted(np.asarray(edges, dtype=np.float64), scores, side="right")
    return np.where(np.isnan(scores), len(edges) + 1, numbers)
