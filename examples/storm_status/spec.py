"""What a storm of the Atlantic will be a day from now: one of six classes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.spec import (
    Column,
    DataChecks,
    DataSet,
    FeatureTable,
    Gates,
    Input,
    Label,
    Monitoring,
    Multiclass,
    ParquetSource,
    RequestField,
    Schedule,
    Serving,
    Table,
    Training,
    UseCase,
)

ROWS = "data/storm_status.parquet"
MEASURED = ("lat", "long", "wind", "wind_change", "pressure")
ASKED = ("observed_at", "status", *MEASURED)
QUESTIONS = Table(
    name="raw/storm_status",
    description="One row per storm and six hours.",
    key=("row_id",),
    time_column="observed_at",
    minimum_rows=50,  # a tenth of a season's
    source=ParquetSource(path=ROWS),
    columns=(
        Column(name="row_id", type="string"),
        Column(name="observed_at", type="timestamp"),
        Column(name="box", type="string"),
        Column(name="lat", type="number", minimum=0, maximum=90),
        Column(name="long", type="number", minimum=-180, maximum=80),
        Column(name="status", type="string"),
        Column(name="wind", type="integer", minimum=0, maximum=240),
        Column(name="wind_change", type="integer", max_null_share=0.2),
        Column(name="pressure", type="integer", minimum=800, maximum=1100),
    ),
)
LABELS = Table(
    name="raw/storm_status_labels",
    description="One row per storm and six hours, known a day later.",
    key=("row_id",),
    time_column="known_at",
    source=ParquetSource(path=ROWS, time_from="observed_at", delay=timedelta(days=1)),
    columns=(
        Column(name="row_id", type="string"),
        Column(name="box", type="string"),
        Column(name="known_at", type="timestamp"),
        Column(name="status_next_day", type="string"),
    ),
)

USE_CASE = UseCase(
    name="storm_status",
    title="Storm status",
    owner="owner@example.org",
    task="What a storm will be in a day: depression, storm, hurricane, extratropical, low or gone.",
    business_impact="Ports and crews are warned by it a day ahead.",
    metric="Log loss: a warning is given by the probability, not by the likeliest class.",
    data="Tracks of 2005 to 2022, National Hurricane Center, as corrected after each season.",
    problem=Multiclass(
        classes=("depression", "extratropical", "gone", "hurricane", "low", "storm"),
        max_logloss=1.3,
        min_auc=0.8,
        max_brier=0.65,
        max_calibration_error=0.1,
        min_accuracy=0.5,
    ),
    # On a laptop that does other things at the same time.
    gates=Gates(max_latency_p50_ms=200.0, max_latency_p99_ms=2000.0, max_batch_ms=5000.0),
    data_checks=DataChecks(max_single_auc=0.95),  # today's wind says who is a hurricane tomorrow
    data_set=DataSet(
        entity_table=QUESTIONS.name,
        id_column="row_id",
        event_time="observed_at",
        feature_service="storm_status_v1",
        label_table=LABELS.name,
        label_time="known_at",
    ),
    tables=(QUESTIONS, LABELS),
    feature_tables=(FeatureTable(view="storms_by_box", table="features/storms_by_box"),),
    inputs=(
        *(Input(name=name, source=name) for name in MEASURED),
        Input(name="status", source="status", kind="category"),
        Input(name="month", source="observed_at", kind="local_month", timezone="UTC"),
        Input(name="hurricane_share", source="storms_by_box:hurricane_share"),
    ),
    serving=Serving(
        entity_keys=("box",), request_fields=tuple(RequestField(name=name) for name in ASKED)
    ),
    label=Label(column="status_next_day", description="What the storm was a day later."),
    training=Training(
        window_days=3650,
        minimum_rows=1500,  # a third of ten seasons'
        # A storm's rows are much alike: deeper trees learn the storms, and do worse than lines.
        parameters={"max_depth": 3, "eta": 0.05, "min_child_weight": 20, "subsample": 0.5},
    ),
    # Half of a season; by `flightdeck check storm_status --history`.
    monitoring=Monitoring(minimum_rows=250, max_accuracy_drop=0.09, max_calibration_gap=0.12),
    schedule=Schedule(
        start=datetime(2005, 1, 1, tzinfo=UTC),
        end=datetime(2023, 1, 1, tzinfo=UTC),
        features_cron="@yearly",
        batch_scoring_cron="@yearly",
        monitoring_cron="@yearly",
    ),
)
