"""Whether a pump is about to fail: a use case that is small, and as strict as its data allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.spec import (
    Binary,
    Column,
    DataSet,
    FeatureTable,
    Gates,
    Input,
    Label,
    Monitoring,
    ParquetSource,
    RequestField,
    Schedule,
    Serving,
    Table,
    Training,
    Triggers,
    UseCase,
)

ROWS = "data/pump_faults.parquet"
READINGS = Table(
    name="raw/pump_readings",
    description="One row per reading of a pump, known at once.",
    key=("reading_id",),
    time_column="asked_at",
    source=ParquetSource(path=ROWS),
    columns=(
        Column(name="reading_id", type="integer"),
        Column(name="asked_at", type="timestamp"),
        Column(name="pump", type="string"),
        Column(name="vibration", type="number"),
        Column(name="pressure", type="number"),
        Column(name="flow", type="number"),
        Column(name="load", type="number"),
    ),
)
FAULTS = Table(
    name="raw/pump_faults",
    description="One row per reading, known an hour later.",
    key=("reading_id",),
    time_column="known_at",
    source=ParquetSource(path=ROWS, time_from="asked_at", delay=timedelta(hours=1)),
    columns=(
        Column(name="reading_id", type="integer"),
        Column(name="known_at", type="timestamp"),
        Column(name="fault", type="integer", minimum=0, maximum=1),
    ),
)

USE_CASE = UseCase(
    name="pump_faults",
    title="Pump faults",
    owner="owner@example.org",
    task="The probability that a pump fails within the hour.",
    business_impact="A pump that stands still costs more than one that is looked after.",
    metric="AUC: the pumps are visited in the order of their probability.",
    data="Made up.",
    problem=Binary(min_auc=0.75, max_brier=0.21, max_calibration_error=0.08),
    gates=Gates(
        # How fast the machine is that runs the tests says nothing of the model.
        max_latency_p50_ms=1000.0,
        max_latency_p99_ms=5000.0,
        max_batch_ms=5000.0,
        # Three readings make the answer, and no caller can leave one out.
        max_missing_change=0.5,
    ),
    data_set=DataSet(
        entity_table=READINGS.name,
        id_column="reading_id",
        event_time="asked_at",
        feature_service="pump_faults_v1",
        label_table=FAULTS.name,
        label_time="known_at",
    ),
    tables=(READINGS, FAULTS),
    feature_tables=(FeatureTable(view="pump_week", table="features/pump_week"),),
    inputs=(
        Input(name="vibration", source="vibration"),
        Input(name="pressure", source="pressure"),
        Input(name="flow", source="flow"),
        Input(name="load", source="load"),
        Input(name="load_mean_7d", source="pump_week:load_mean_7d"),
    ),
    serving=Serving(
        entity_keys=("pump",),
        request_fields=tuple(
            RequestField(name=name) for name in ("vibration", "pressure", "flow", "load")
        ),
        max_smoke_ms=5000.0,
    ),
    label=Label(column="fault", description="1 if the pump failed within the hour."),
    training=Training(
        window_days=28,
        minimum_rows=2000,
        parameters={"max_depth": 4, "eta": 0.2, "min_child_weight": 20},
        boost_rounds=80,
        trials=1,
    ),
    baseline_input=None,
    monitoring=Monitoring(alarm_on=("performance", "drift")),
    # The alarm is to start the training, and not the new labels of a month.
    triggers=Triggers(new_share=100.0),
    schedule=Schedule(
        start=datetime(2023, 1, 1, tzinfo=UTC),
        end=datetime(2023, 3, 31, tzinfo=UTC),
        features_cron="@monthly",
        batch_scoring_cron="@monthly",
        monitoring_cron="@monthly",
    ),
)
