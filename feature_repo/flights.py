"""Feast's definitions of the flights' features: who they are about, where they lie, for how long
they hold.

`ttl` is how long a row's values may be used after the moment from which they were known (a TTL of
zero: for ever). After a change here apply the definitions, and keep the feature service and the
inputs of include/use_cases/flight_delays/spec.py in agreement.
"""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureService
from feast.types import Float64, Int64

from feature_repo.shared import key, view

carrier = key("carrier", "Airline, two letters.")
origin = key("origin", "Airport of departure.")
dest = key("dest", "Airport of destination.")
plane_entity = key("tailnum", "Aircraft, by tail number.", name="plane")

carrier_daily = view(
    "carrier_daily",
    [carrier],
    ttl=timedelta(days=3),
    fields={
        "late_rate_7d": (Float64, "Share of arrivals more than 15 minutes late, last 7 days."),
        "late_rate_28d": (Float64, "The same over 28 days."),
        "arrivals_7d": (Int64, "Arrivals of the last 7 days."),
    },
)

route_daily = view(
    "route_daily",
    [origin, dest],
    ttl=timedelta(days=3),
    fields={
        "late_rate_28d": (Float64, "Share of arrivals more than 15 minutes late, last 28 days."),
        "arrivals_28d": (Int64, "Arrivals of the last 28 days."),
        "distance": (Float64, "Miles."),
    },
)

origin_hourly = view(
    "origin_hourly",
    [origin],
    ttl=timedelta(hours=6),
    fields={
        "late_rate_6h": (Float64, "Share of arrivals more than 15 minutes late, last 6 hours."),
        "late_rate_24h": (Float64, "The same over 24 hours."),
        "arrivals_6h": (Int64, "Arrivals of the last 6 hours."),
    },
)

weather_hourly = view(
    "weather_hourly",
    [origin],
    ttl=timedelta(hours=6),
    fields={
        "temperature": (Float64, "Fahrenheit."),
        "humidity": (Float64, "Per cent."),
        "wind_speed": (Float64, "Miles per hour."),
        "precipitation": (Float64, "Inches."),
        "pressure": (Float64, "Millibars."),
        "visibility": (Float64, "Miles."),
    },
)

plane = view(
    "plane",
    [plane_entity],
    ttl=timedelta(0),
    fields={"built_year": (Float64, ""), "seats": (Float64, "")},
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
