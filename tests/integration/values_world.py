"""A use case whose columns have every declared type and names that must be quoted, and one example
of its rows on the way from files to the endpoint.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from include.features.online.store import materialise
from include.features.retrieval import point_in_time
from include.features.store import apply_definitions
from include.interval import Interval
from include.processes.features import compute_features, ingest_source, publish_tables
from include.settings import Settings, load_settings
from include.spec import (
    Binary,
    Column,
    DataSet,
    FeatureTable,
    Input,
    Label,
    RequestField,
    Schedule,
    Serving,
    Table,
    Training,
    UseCase,
)
from include.steps import RunInfo, StepContext
from include.tables.store import TableStore
from proofs.harness.data import train_signed, with_rounds
from tests.step_runs import ACCEPTED, run_step

START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 2, 1, tzinfo=UTC)
INTERVAL = Interval(START, END)
ASKED_FROM = START + timedelta(days=20)
SEEN_AT = START + timedelta(days=1)
KEY, NAME, ASKED, ID = "Kunde №", 'sender\'s "name"', "asked-at", "ask id"

ASKS = Table(
    name="raw/asks",
    key=(ID,),
    time_column=ASKED,
    columns=(
        Column(name=ID, type="integer"),
        Column(name=ASKED, type="timestamp"),
        Column(name=KEY, type="integer"),
        Column(name=NAME, type="string", max_null_share=1.0),
        Column(name="größe (m)", type="number", max_null_share=1.0),
        Column(name="is open?", type="boolean", max_null_share=1.0),
        Column(name="due, at", type="timestamp", max_null_share=1.0),
        Column(name="select", type="integer", max_null_share=1.0),
    ),
)
ANSWERS = Table(
    name="raw/answers",
    key=(ID,),
    time_column="known at",
    columns=(
        Column(name=ID, type="integer"),
        Column(name="known at", type="timestamp"),
        Column(name="late", type="integer", minimum=0, maximum=1),
    ),
)
CUSTOMERS = Table(
    name="raw/customers",
    key=(KEY,),
    time_column="seen-at",
    columns=(
        Column(name=KEY, type="integer"),
        Column(name="seen-at", type="timestamp"),
        Column(name="load %", type="number", max_null_share=1.0),
        Column(name="share", type="number", max_null_share=1.0),
        Column(name="orders", type="integer", max_null_share=1.0),
        Column(name="vip", type="boolean", max_null_share=1.0),
        Column(name='the "tier"', type="string", max_null_share=1.0),
        Column(name="last order", type="timestamp", max_null_share=1.0),
    ),
)
FEATURES = ("load %", "share", "orders", "vip", 'the "tier"', "last order")
USE_CASE = UseCase(
    name="odd_parcels",
    title="Parcels",
    owner="parcels@example.org",
    task="Is a parcel late?",
    business_impact="None.",
    metric="AUC",
    data="Generated.",
    problem=Binary(min_auc=0.5, max_brier=0.3, max_calibration_error=0.5),
    data_set=DataSet(
        entity_table=ASKS.name,
        id_column=ID,
        event_time=ASKED,
        feature_service="parcels_v1",
        label_table=ANSWERS.name,
        label_time="known at",
    ),
    tables=(ASKS, ANSWERS, CUSTOMERS),
    feature_tables=(FeatureTable(view="customer", table="features/customer", timestamp="seen-at"),),
    inputs=(
        Input(name="name", source=NAME, kind="category"),
        Input(name="size", source="größe (m)"),
        Input(name="open", source="is open?"),
        Input(name="due_in", source="due, at", kind="hours_between"),
        Input(name="due_hour", source="due, at", kind="local_hour", timezone="Europe/Vienna"),
        Input(name="due_month", source="due, at", kind="local_month", timezone="Europe/Vienna"),
        Input(name="count", source="select"),
        Input(name="key", source=KEY),
        Input(name="load", source="customer:load %"),
        Input(name="share", source="customer:share"),
        Input(name="orders", source="customer:orders"),
        Input(name="vip", source="customer:vip"),
        Input(name="tier", source='customer:the "tier"', kind="category"),
        Input(name="last_order", source="customer:last order", kind="hours_between"),
    ),
    serving=Serving(
        entity_keys=(KEY,),
        request_fields=tuple(
            RequestField(name=name) for name in (NAME, "größe (m)", "is open?", "due, at", "select")
        ),
        max_rows=100,
    ),
    label=Label(column="late", description="1 if late."),
    training=Training(
        window_days=40,
        minimum_rows=1,
        parameters={"max_depth": 3},
        boost_rounds=10,
        trials=1,
    ),
    baseline_input="load",
    schedule=Schedule(start=START),
)


class WorldSettings(Settings):
    """Settings whose Feast definitions are those of this world."""

    @property
    def feature_repo(self) -> Path:
        return Path(__file__).with_name("values_repo")


def settings_in(home: Path) -> Settings:
    plain = load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(home),
            "FLIGHTDECK_DELIVERY_DIR": str(home / "deliveries"),
        }
    )
    return WorldSettings.model_validate(plain.model_dump())


def context_of(settings: Settings, use_case: UseCase = USE_CASE) -> StepContext:
    return StepContext(use_case, settings, INTERVAL, RunInfo(process="features", run_id="test"))


def add_use_case() -> None:
    """What the files of `include/use_cases/odd_parcels/` would be: the customers are the
    features.
    """
    folder = f"include.use_cases.{USE_CASE.name}"
    module, specification = ModuleType(f"{folder}.data"), ModuleType(f"{folder}.spec")

    def compute(tables: TableStore, interval: Interval) -> dict[str, pl.DataFrame]:
        return {"customer": tables.read("raw/customers")}

    module.read_source = lambda interval, share: {}  # type: ignore[attr-defined]
    module.compute_features = compute  # type: ignore[attr-defined]
    specification.USE_CASE = USE_CASE  # type: ignore[attr-defined]
    sys.modules.update({part.__name__: part for part in (module, specification)})


def deliver(settings: Settings, frames: Mapping[str, pl.DataFrame]) -> None:
    folder = settings.home / "deliveries" / USE_CASE.name / INTERVAL.label
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name.removeprefix('raw/')}.parquet")


def publish(settings: Settings) -> None:
    """The steps of the features process, without validation in between."""
    context = context_of(settings)
    landed = run_step(ingest_source, context)
    run_step(publish_tables, context, {"ingest_source": landed, "validate_data": ACCEPTED})
    run_step(compute_features, context)
    apply_definitions(settings)
    materialise(USE_CASE, settings, END)


def frames_of(rows: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """The declared values as a delivery with the declared types; each row is a question about a
    customer of its own.
    """
    types = {"integer": pl.Int64, "number": pl.Float64, "string": pl.String}
    types |= {"boolean": pl.Boolean, "timestamp": pl.Datetime("us", "UTC")}
    frames = {}
    for table in USE_CASE.tables:
        schema = {column.name: types[column.type] for column in table.columns}
        frames[table.name] = pl.DataFrame(
            [{name: row[name] for name in schema} for row in rows], schema=schema
        )
    return frames


def varied_rows(count: int) -> list[dict[str, Any]]:
    """Rows with all kinds of values, missing ones among them, that a model can be fitted on."""
    rows = []
    for number in range(count):
        asked = ASKED_FROM + timedelta(hours=number)
        row: dict[str, Any] = {
            ID: number + 1,
            ASKED: asked,
            KEY: 1_000_000 + number,
            NAME: ("Ann", "Zoë", "東京")[number % 3],
            "größe (m)": number * 1.5 - 20,
            "is open?": number % 2 == 0,
            "due, at": asked + timedelta(minutes=17 * number),
            "select": number - 10,
            "known at": asked + timedelta(hours=2),
            "late": int(number % 5 > 2),
            "seen-at": SEEN_AT,
            "load %": number / 7,
            "share": number / 9,
            "orders": number * 3,
            "vip": number % 3 == 0,
            'the "tier"': ("gold", "<5", 'a "b"')[number % 3],
            "last order": SEEN_AT - timedelta(hours=number),
        }
        missing = ("größe (m)", "is open?", "load %", "vip", "last order")[number % 5]
        rows.append({**row, missing: None})
    return rows


def retrieved(settings: Settings) -> pl.DataFrame:
    """All questions with their labels and features, in the order of time: training rows."""
    tables = TableStore(settings.tables_uri)
    labels = tables.read(ANSWERS.name, columns=[ID, "late"])
    asks = tables.read(ASKS.name).join(labels, on=ID).sort(ASKED, ID)
    return point_in_time(USE_CASE, asks, settings)


def train(settings: Settings) -> Path:
    """The folder of a signed package, fitted on what is published."""
    context = StepContext(
        with_rounds(USE_CASE, 10), settings, INTERVAL, RunInfo(process="training", run_id="values")
    )
    return train_signed(context, retrieved(settings))[0]
