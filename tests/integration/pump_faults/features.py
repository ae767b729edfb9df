"""Feast's definitions of the features of pump_faults."""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureService
from feast.types import Float64

from feature_repo.shared import key, view

pump = key("pump", "A pump.")

pump_week = view(
    "pump_week",
    [pump],
    ttl=timedelta(days=34),  # a month, until features are renewed, and a little more
    fields={"load_mean_7d": (Float64, "Mean of the load over the last 7 days.")},
)

pump_faults_v1 = FeatureService(
    name="pump_faults_v1",
    description="The features of the pump_faults model, version 1.",
    features=[pump_week],
)
