"""From the inference log to what the analysis looks at.

The log is what was answered, so it is the only witness: rows say by digest which package answered,
under which plan, and on which arm the row fell. Nothing is read of the endpoint's own opinion.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from pydantic import ValidationError

from include.errors import DataError, RegistryError, ReleaseError, ServingError
from include.evaluation.slices import slice_parts
from include.features.transform import FeatureTransform
from include.inference_log.log import CHAMPION, SHADOW, ship, ship_feedback
from include.model.package import REFERENCE_FILE, TRANSFORM_FILE, verify_package
from include.problems.registry import strategy_of
from include.release.analysis.memory_samples import sample_memory
from include.release.analysis.observed import (
    ArmWindow,
    Comparison,
    Observed,
    Paired,
    SliceComparison,
)
from include.release.analysis.outcome_rows import matured
from include.release.analysis.rows import (
    ENOUGH_BEFORE,
    PERCENTILE,
    LoggedRows,
    answer_id,
    as_arrays,
    challenger_of,
    comparisons,
    foreign_rows,
    rows_before,
    rows_of_plans,
    units_of,
)
from include.release.model_store import at_hand
from include.release.plan import Plan, PlannedArm
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

DECILES = np.arange(1, 10) / 10


def observe(settings: Settings, use_case: UseCase, plans: Sequence[Plan]) -> Observed:
    """What both versions have answered under the plans of a rollout, oldest first; the last one is
    in force.

    Plans that compare other packages are left out. What the endpoint has logged is shipped first.
    Raises `ReleaseError` where the plan in force compares nothing.
    """
    plan = plans[-1]
    champion, challenger = plan.champion, challenger_of(plan)
    if champion is None or challenger is None:
        raise ReleaseError(
            f"The plan {plan.sequence} of {use_case.name} has no challenger beside a champion:"
            " there is nothing to compare."
        )
    plans = [other for other in plans if _compares(other, champion, challenger)]
    ship(settings, use_case.name)
    ship_feedback(settings, use_case.name)
    tables = TableStore(settings.tables_uri)
    before = rows_before(use_case, tables, champion, plans[0].sequence)
    slow = _slow_ms(before, use_case.release.analysis.max_latency_ratio)
    logged = rows_of_plans(use_case, tables, plans)
    if logged.height == 0:
        return _nothing(use_case, champion, challenger, plan, slow)
    unit = plan.unit or use_case.release.unit_of(use_case)
    rows = as_arrays(logged, plans, _edges(settings, use_case, champion, before), unit)
    return _observed(settings, use_case, tables, rows, plans, before, slow, unit)


def _observed(
    settings: Settings,
    use_case: UseCase,
    tables: TableStore,
    rows: LoggedRows,
    plans: Sequence[Plan],
    before: pl.DataFrame,
    slow_ms: float | None,
    unit: Sequence[str],
) -> Observed:
    everything = np.ones(rows.frame.height, dtype=bool)
    steps = comparisons(rows, plans, everything, slow_ms)
    steps = _with_baseline(steps, before, rows, plans, slow_ms)
    now = rows.challenger & (rows.step == len(plans) - 1)
    units = units_of(rows, now, unit)
    steps = (*steps[:-1], replace(steps[-1], challenger=replace(steps[-1].challenger, units=units)))
    slices, problem = _slices(settings, use_case, rows, plans, slow_ms)
    own = rows.frame.filter(~rows.failed)
    answered = sum(step.challenger.rows for step in steps)
    return Observed(
        use_case=use_case.name,
        steps=steps,
        slow_ms=slow_ms,
        strangers=foreign_rows(rows.frame, plans),
        slices=slices,
        slices_problem=problem,
        score_edges=rows.edges,
        paired=_paired(use_case, rows, plans),
        memory=sample_memory(settings, use_case.name, plans[0].sequence, answered),
        matured=matured(use_case, settings, tables, own.filter(pl.col("arm") != SHADOW), unit),
    )


def _compares(plan: Plan, champion: PlannedArm, challenger: PlannedArm) -> bool:
    """Whether a plan compares the same two packages."""
    arms = (plan.champion, challenger_of(plan))
    return [arm and arm.digest for arm in arms] == [champion.digest, challenger.digest]


def _nothing(
    use_case: UseCase, champion: PlannedArm, challenger: PlannedArm, plan: Plan, slow: float | None
) -> Observed:
    first, second = (
        ArmWindow(arm.role, arm.version, arm.digest, plan.sequence, arm.share, 0)
        for arm in (champion, challenger)
    )
    return Observed(use_case.name, (Comparison(first, second),), slow_ms=slow)


def _slow_ms(before: pl.DataFrame, ratio: float) -> float | None:
    if before.height < ENOUGH_BEFORE:
        return None
    latencies = before["latency_ms"].drop_nulls().to_numpy()
    return float(np.quantile(latencies, PERCENTILE)) * ratio if latencies.size else None


def _edges(
    settings: Settings, use_case: UseCase, champion: PlannedArm, before: pl.DataFrame
) -> list[float]:
    """The bins of the scores, decided before the rollout: those of the champion's package, or the
    deciles of its answers before where the package is gone; none without either.
    """
    try:
        folder = at_hand(settings, use_case.name, champion.version, champion.digest)
        verify_package(folder, champion.digest)
        reference = json.loads((folder / REFERENCE_FILE).read_bytes())
        return [float(edge) for edge in reference["score"]["edges"]]
    except (RegistryError, ServingError, OSError, ValueError, KeyError, TypeError):
        if before.height < ENOUGH_BEFORE:
            return []
        scores = before["score"].drop_nulls().to_numpy()
        return [float(edge) for edge in np.unique(np.quantile(scores, DECILES))]


def _with_baseline(
    steps: tuple[Comparison, ...],
    before: pl.DataFrame,
    rows: LoggedRows,
    plans: Sequence[Plan],
    slow_ms: float | None,
) -> tuple[Comparison, ...]:
    """The steps, with the champion's rows before the rollout where it answers none any more."""
    if all(step.concurrent for step in steps) or before.height == 0:
        return steps
    arrays = as_arrays(before, plans, rows.edges, ())
    everything = np.ones(before.height, dtype=bool)
    result = []
    for step, plan in zip(steps, plans, strict=True):
        champion = plan.champion
        if step.concurrent or champion is None:
            result.append(step)
            continue
        window = arrays.window(champion, plan.sequence, everything, slow_ms, None)
        result.append(replace(step, champion=window))
    return tuple(result)


def _slices(
    settings: Settings,
    use_case: UseCase,
    rows: LoggedRows,
    plans: Sequence[Plan],
    slow_ms: float | None,
) -> tuple[tuple[SliceComparison, ...], str]:
    """Every slice of the rollout's rows, by the champion's own transformation; or why there is
    none.
    """
    champion = plans[-1].champion
    marked = [
        part for part in use_case.slices if any(_is_marked(use_case, name) for name in part.columns)
    ]
    clear = tuple(part for part in use_case.slices if part not in marked)
    if champion is None or not clear:
        return (), ""
    try:
        folder = at_hand(settings, use_case.name, champion.version, champion.digest)
        verify_package(folder, champion.digest)
        transform = FeatureTransform.model_validate_json((folder / TRANSFORM_FILE).read_bytes())
        parts = slice_parts(use_case.model_copy(update={"slices": clear}), transform, rows.frame)
    except (RegistryError, ServingError, DataError, OSError, ValidationError) as error:
        return (), f"the champion's package cannot cut the rows into slices: {error}"
    return tuple(
        SliceComparison(part.label, comparisons(rows, plans, part.mask, slow_ms)) for part in parts
    ), ""


def _is_marked(use_case: UseCase, column: str) -> bool:
    """Whether the log hides a slice's column: an entity key or request field by that name, or the
    source of an input.
    """
    sources = {item.name: item.source for item in use_case.inputs}
    name = sources.get(column, column)
    return name in use_case.request_columns and use_case.privacy(name) != "clear"


def _paired(use_case: UseCase, rows: LoggedRows, plans: Sequence[Plan]) -> Paired | None:
    """The rows that the champion answered and the shadow scored."""
    if plans[-1].shadow is None:
        return None
    usable = rows.frame.filter(~rows.failed & (rows.step == len(plans) - 1))
    shadow = usable.filter(pl.col("arm") == SHADOW).with_columns(prediction_id=answer_id())
    answered = usable.filter(pl.col("arm") == CHAMPION)
    both = answered.select("prediction_id").join(
        shadow.select("prediction_id"), on="prediction_id", how="inner"
    )
    first, second = (
        both.join(frame, on="prediction_id", how="left", maintain_order="left")
        for frame in (answered, shadow)
    )
    if both.height == 0:
        return Paired(0, 0, 0.0)
    different = strategy_of(use_case).are_different(first, second)
    apart = np.abs(first["score"].to_numpy() - second["score"].to_numpy())
    return Paired(both.height, int(different.sum()), float(apart.mean()))
