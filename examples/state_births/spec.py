"""How many children are born in a state of the USA on a day: a regression with dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.spec import (
    Column,
    DataSet,
    FeatureTable,
    Gates,
    Input,
    Label,
    ParquetSource,
    Regression,
    RequestField,
    Schedule,
    Serving,
    Table,
    Training,
    UseCase,
)

ROWS = "data/state_births.parquet"
QUESTIONS = Table(
    name="raw/state_births",
    description="One row per state and day, known as the day begins.",
    key=("row_id",),
    time_column="day",
    minimum_rows=153,  # a tenth of a month's
    source=ParquetSource(path=ROWS),
    columns=(
        Column(name="row_id", type="string"),
        Column(name="day", type="timestamp"),
        Column(name="state", type="string"),
    ),
)
LABELS = Table(
    name="raw/state_births_labels",
    description="One row per state and day, counted when the day is over.",
    key=("row_id",),
    time_column="known_at",
    minimum_rows=1,
    source=ParquetSource(path=ROWS, time_from="day", delay=timedelta(days=1)),
    columns=(
        Column(name="row_id", type="string"),
        Column(name="state", type="string"),
        Column(name="known_at", type="timestamp"),
        Column(name="births", type="integer", minimum=0, maximum=2700),
    ),
)

USE_CASE = UseCase(
    name="state_births",
    title="State births",
    owner="owner@example.org",
    task="How many children are born in a state on a day, as the day begins.",
    business_impact="Wards are staffed by it: too few nurses wait for too many births.",
    metric="Mean absolute error in births: a nurse too few costs as much as one too many.",
    data="Births by state and day of 1987 and 1988, National Center for Health Statistics.",
    # The first trainings reached an RMSE of 16, an MAE of 11 and an R2 of 0.995.
    problem=Regression(max_rmse=25, max_mae=16, min_r2=0.97, max_bias=5, max_decile_error=20),
    gates=Gates(
        # A state's level is what the model knows best, and no caller can leave the state out.
        max_missing_change=4.0,
        max_attribution_share=0.8,
        max_latency_p50_ms=200.0,  # on a laptop that does other things at the same time
        max_latency_p99_ms=2000.0,
        max_batch_ms=5000.0,
    ),
    data_set=DataSet(
        entity_table=QUESTIONS.name,
        id_column="row_id",
        event_time="day",
        feature_service="state_births_v1",
        label_table=LABELS.name,
        label_time="known_at",
    ),
    tables=(QUESTIONS, LABELS),
    feature_tables=(
        FeatureTable(view="state_births_by_state", table="features/state_births_by_state"),
    ),
    inputs=(
        Input(name="state", source="state", kind="category"),
        Input(name="weekday", source="day", kind="local_weekday", timezone="UTC"),
        Input(name="month", source="day", kind="local_month", timezone="UTC"),
        Input(name="births_mean_7d", source="state_births_by_state:births_mean_7d"),
        Input(name="births_mean_28d", source="state_births_by_state:births_mean_28d"),
    ),
    serving=Serving(entity_keys=("state",), request_fields=(RequestField(name="day"),)),
    label=Label(column="births", description="Children born in the state on the day."),
    training=Training(
        window_days=365,
        minimum_rows=6213,  # a third of a year's
        parameters={"max_depth": 4, "eta": 0.1, "min_child_weight": 5},
        search_space={"max_depth": (2, 6), "min_child_weight": (1, 40)},
        trials=3,
    ),
    baseline_input="births_mean_7d",
    schedule=Schedule(
        start=datetime(1987, 1, 1, tzinfo=UTC),
        end=datetime(1988, 12, 31, tzinfo=UTC),
        features_cron="@monthly",
        batch_scoring_cron="@monthly",
        monitoring_cron="@monthly",
    ),
)
