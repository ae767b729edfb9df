"""Feast's definitions of a view whose columns have every type, and names that need quoting."""

from __future__ import annotations

import os
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.data_format import DeltaFormat
from feast.types import Bool, Float32, Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType

CUSTOMER = Entity(name="customer", join_keys=["Kunde №"], value_type=ValueType.INT64)
VIEW = FeatureView(
    name="customer",
    entities=[CUSTOMER],
    ttl=timedelta(0),
    source=FileSource(
        name="customer_table",
        path=f"{os.environ['FLIGHTDECK_TABLES_URI'].rstrip('/')}/features/customer",
        timestamp_field="seen-at",
        created_timestamp_column="created_timestamp",
        file_format=DeltaFormat(),
    ),
    schema=[
        Field(name="Kunde №", dtype=Int64),
        Field(name="load %", dtype=Float64),
        Field(name="share", dtype=Float32),
        Field(name="orders", dtype=Int64),
        Field(name="vip", dtype=Bool),
        Field(name='the "tier"', dtype=String),
        Field(name="last order", dtype=UnixTimestamp),
    ],
)
SERVICE = FeatureService(name="parcels_v1", features=[VIEW])
