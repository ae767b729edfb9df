"""Feast's definitions of the flights' features: who they are about, where they lie, for how long
they hold.

`FLIGHTDECK_TABLES_URI` is the root of the Delta tables. A row's `event_timestamp` is the moment
from which its values were known; `ttl` is how long they may be used after it (a TTL of zero: for
ever). After a change here apply the definitions, and keep the feature service and the inputs of
include/use_cases/flight_delays/spec.py in agreement.
"""

from __future__ import annotations

import os
from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.data_format import DeltaFormat
from feast.types import Float64, Int64, String
from feast.value_type import ValueType

TABLES = os.environ["FLIGHTDECK_TABLES_URI"].rstrip("/")
TIMESTAMP = "event_timestamp"
CREATED = "created_timestamp"


def _source(view: str) -> FileSource:
    return FileSource(
        name=f"{view}_table",
        path=f"{TABLES}/features/{view}",
        timestamp_field=TIMESTAMP,
        created_timestamp_column=CREATED,
        file_format=DeltaFormat(),
    )


carrier = Entity(
    name="carrier",
    join_keys=["carrier"],
    value_type=ValueType.STRING,
    description="Airline, two letters.",
)
origin = Entity(
    name="origin",
    join_keys=["origin"],
    value_type=ValueType.STRING,
    description="Airport of departure.",
)
dest = Entity(
    name="dest",
    join_keys=["dest"],
    value_type=ValueType.STRING,
    description="Airport of destination.",
)
plane_entity = Entity(
    name="plane",
    join_keys=["tailnum"],
    value_type=ValueType.STRING,
    description="Aircraft, by tail number.",
)

carrier_daily = FeatureView(
    name="carrier_daily",
    entities=[carrier],
    ttl=timedelta(days=3),
    source=_source("carrier_daily"),
    schema=[
        Field(name="carrier", dtype=String),
        Field(
            name="late_rate_7d",
            dtype=Float64,
            description="Share of arrivals more than 15 minutes late, last 7 days.",
        ),
        Field(name="late_rate_28d", dtype=Float64, description="The same over 28 days."),
        Field(name="arrivals_7d", dtype=Int64, description="Arrivals of the last 7 days."),
    ],
)

route_daily = FeatureView(
    name="route_daily",
    entities=[origin, dest],
    ttl=timedelta(days=3),
    source=_source("route_daily"),
    schema=[
        Field(name="origin", dtype=String),
        Field(name="dest", dtype=String),
        Field(
            name="late_rate_28d",
            dtype=Float64,
            description="Share of arrivals more than 15 minutes late, last 28 days.",
        ),
        Field(name="arrivals_28d", dtype=Int64, description="Arrivals of the last 28 days."),
        Field(name="distance", dtype=Float64, description="Miles."),
    ],
)

origin_hourly = FeatureView(
    name="origin_hourly",
    entities=[origin],
    ttl=timedelta(hours=6),
    source=_source("origin_hourly"),
    schema=[
        Field(name="origin", dtype=String),
        Field(
            name="late_rate_6h",
            dtype=Float64,
            description="Share of arrivals more than 15 minutes late, last 6 hours.",
        ),
        Field(name="late_rate_24h", dtype=Float64, description="The same over 24 hours."),
        Field(name="arrivals_6h", dtype=Int64, description="Arrivals of the last 6 hours."),
    ],
)

weather_hourly = FeatureView(
    name="weather_hourly",
    entities=[origin],
    ttl=timedelta(hours=6),
    source=_source("weather_hourly"),
    schema=[
        Field(name="origin", dtype=String),
        Field(name="temperature", dtype=Float64, description="Fahrenheit."),
        Field(name="humidity", dtype=Float64, description="Per cent."),
        Field(name="wind_speed", dtype=Float64, description="Miles per hour."),
        Field(name="precipitation", dtype=Float64, description="Inches."),
        Field(name="pressure", dtype=Float64, description="Millibars."),
        Field(name="visibility", dtype=Float64, description="Miles."),
    ],
)

plane = FeatureView(
    name="plane",
    entities=[plane_entity],
    ttl=timedelta(0),
    source=_source("plane"),
    schema=[
        Field(name="tailnum", dtype=String),
        Field(name="built_year", dtype=Float64),
        Field(name="seats", dtype=Float64),
    ],
)

flight_delays_v1 = FeatureService(
    name="flight_delays_v1",
    description="The features of the flight_delays model, version 1.",
    features=[
        carrier_daily[["late_rate_7d", "late_rate_28d"]],
        route_daily[["late_rate_28d", "arrivals_28d", "distance"]],
        origin_hourly[["late_rate_6h", "late_rate_24h"]],
        weather_hourly,
        plane,
    ],
)
