"""A small use case with rows made from a known rule, and a model fitted on them: what the unit
tests of this area share.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.data_sets.split import cut, moments
from include.evaluation.evaluate import labels_of
from include.features.transform import FeatureTransform
from include.model.package import (
    ModelMetadata,
    ScoringModel,
    SnapshotRecord,
    TrainingInterval,
    golden_rows,
    load_model,
    write_package,
)
from include.model.reference import build_reference
from include.spec import (
    Binary,
    Column,
    DataSet,
    FeatureTable,
    Gates,
    Golden,
    Input,
    Label,
    RequestField,
    Schedule,
    Serving,
    Slice,
    Table,
    Training,
    UseCase,
)
from include.stats.metrics import summary
from include.training.fitting import fit_booster, to_dmatrix
from include.training.provenance import library_versions

START = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 30

PARCELS = Table(
    name="raw/parcels",
    key=("parcel_id",),
    time_column="asked_at",
    columns=(
        Column(name="parcel_id", type="string"),
        Column(name="asked_at", type="timestamp"),
        Column(name="depot", type="string", categories=("east", "north", "west")),
        Column(name="pickup", type="timestamp"),
    ),
)
DELIVERIES = Table(
    name="raw/deliveries",
    key=("parcel_id",),
    time_column="known_at",
    columns=(
        Column(name="parcel_id", type="string"),
        Column(name="known_at", type="timestamp"),
        Column(name="late", type="integer", minimum=0, maximum=1),
    ),
)

USE_CASE = UseCase(
    name="parcels",
    title="Parcels",
    owner="parcels@example.org",
    task="Is a parcel late?",
    business_impact="A late parcel costs a call.",
    metric="AUC",
    data="Synthetic.",
    problem=Binary(min_auc=0.6, max_brier=0.25, max_calibration_error=0.1),
    data_set=DataSet(
        entity_table="raw/parcels",
        id_column="parcel_id",
        event_time="asked_at",
        feature_service="parcels_v1",
        label_table="raw/deliveries",
        label_time="known_at",
    ),
    tables=(PARCELS, DELIVERIES),
    feature_tables=(FeatureTable(view="depot_daily", table="features/depot_daily"),),
    inputs=(
        Input(name="depot", source="depot", kind="category"),
        Input(name="pickup_hour", source="pickup", kind="local_hour", timezone="Europe/Vienna"),
        Input(name="load", source="depot_daily:load"),
    ),
    serving=Serving(
        entity_keys=("depot",), request_fields=(RequestField(name="pickup", type="timestamp"),)
    ),
    label=Label(column="late", description="1 if late."),
    training=Training(
        window_days=DAYS,
        minimum_rows=500,
        parameters={"max_depth": 3, "eta": 0.3},
        boost_rounds=30,
        early_stopping_rounds=5,
        search_space={"max_depth": (2, 4), "eta": (0.05, 0.4)},
        log_scale=("eta",),
        trials=3,
    ),
    slices=(Slice(column="depot", minimum_rows=50),),
    baseline_input="load",
    gates=Gates(
        min_baseline_skill=0.01,
        max_attribution_share=0.8,
    ),
    schedule=Schedule(start=START),
)


def under_limits(case: UseCase, **limits: Any) -> UseCase:
    """The use case with other limits, be they fields of its problem or of its gates."""
    fields = type(case.problem).model_fields
    problem = {name: value for name, value in limits.items() if name in fields}
    gates = {name: value for name, value in limits.items() if name not in problem}
    return case.model_copy(
        update={
            "problem": case.problem.model_copy(update=problem),
            "gates": case.gates.model_copy(update=gates),
        }
    )


def with_golden(golden: Golden) -> UseCase:
    """The use case with rows set aside."""
    data_set = USE_CASE.data_set.model_copy(update={"golden": golden})
    return USE_CASE.model_copy(update={"data_set": data_set})


def parcels(rows: int = 3000, seed: int = 1) -> pl.DataFrame:
    """A snapshot: lateness follows the load and the depot; a tenth of the loads is missing."""
    random = np.random.default_rng(seed)
    asked = [
        START + timedelta(minutes=int(minute))
        for minute in np.sort(random.integers(0, DAYS * 24 * 60 - 600, rows))
    ]
    depot = random.choice(["east", "north", "west"], rows)
    load = random.uniform(0, 1, rows)
    chance = np.clip(0.05 + 0.6 * load**2 + 0.2 * (depot == "west"), 0, 1)
    late = (random.uniform(0, 1, rows) < chance).astype(np.int64)
    frame = pl.DataFrame(
        {
            "parcel_id": [f"p{number:05d}" for number in range(rows)],
            "asked_at": asked,
            "depot": depot,
            "pickup": [moment + timedelta(hours=3) for moment in asked],
            "depot_daily__load": [
                None if missing else value
                for value, missing in zip(load, random.uniform(0, 1, rows) < 0.1, strict=True)
            ],
            "late": late,
            "known_at": [moment + timedelta(hours=8) for moment in asked],
        }
    )
    return frame.with_columns(
        pl.col("asked_at", "pickup", "known_at").cast(pl.Datetime("us", "UTC"))
    )


def with_copied_test_rows(
    frame: pl.DataFrame, share: float, by: timedelta = timedelta(0)
) -> pl.DataFrame:
    """`frame` with that share of its test rows under new ids in its first days, and moved back `by`
    as much beside.
    """
    test = cut(USE_CASE, frame, moments(USE_CASE, frame))["test"]
    back = timedelta(days=(test["asked_at"][0] - START).days) + by
    early = test.head(round(share * test.height)).with_columns(
        pl.format("{}-copy", "parcel_id").alias("parcel_id"),
        pl.col("asked_at", "pickup", "known_at") - back,
    )
    return pl.concat([early, frame]).sort("asked_at", "parcel_id")


def fitted_package(
    folder: Path, frame: pl.DataFrame, *, run_id: str = "run"
) -> tuple[str, ScoringModel]:
    """Fit on the first 70 % of `frame` and write the package to `folder`."""
    train, rest = frame.head(int(frame.height * 0.7)), frame.tail(int(frame.height * 0.3))
    transform = FeatureTransform.fit(USE_CASE, train)
    matrix = transform.apply_frame(train)
    fitted = to_dmatrix(transform, matrix, labels_of(USE_CASE, train), threads=1, max_bin=256)
    judged = to_dmatrix(
        transform,
        transform.apply_frame(rest),
        labels_of(USE_CASE, rest),
        threads=1,
        max_bin=256,
        like=fitted,
    )
    fit = fit_booster(USE_CASE, USE_CASE.training.parameters, fitted, judged, threads=1)
    scores = np.asarray(fit.booster.inplace_predict(transform.apply_frame(rest)), dtype=np.float64)
    metadata = ModelMetadata(
        use_case=USE_CASE.name,
        run_id=run_id,
        feature_service=USE_CASE.feature_service,
        interval=TrainingInterval(start=START, end=START + timedelta(days=DAYS)),
        snapshot=SnapshotRecord(
            name="parcels/snapshots/x", uri="tables/x", version=0, digest="0" * 64
        ),
        seed=USE_CASE.training.seed,
        parameters=USE_CASE.training.parameters,
        best_iteration=fit.best_iteration,
        base_rate=float(labels_of(USE_CASE, train).mean()),
        decision_threshold=USE_CASE.serving.decision_threshold,
        metrics=summary(labels_of(USE_CASE, rest), scores),
        libraries=library_versions(),
        code_commit="unknown",
    )
    reference = build_reference(
        transform, matrix, np.asarray(fit.booster.inplace_predict(matrix), dtype=np.float64)
    )
    golden = {
        "rows": golden_rows(transform, rest.head(20)),
        "scores": [float(score) for score in scores[:20]],
    }
    digest = write_package(folder, fit.booster, transform, metadata, reference, golden)
    return digest, load_model(folder)
