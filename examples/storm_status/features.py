"""Feast's definitions of the features of storm_status."""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureService
from feast.types import Float64

from feature_repo.shared import key, view

storms_by_box_key = key("box", "Ten degrees of the ocean.", name="storms_by_box")

storms_by_box = view(
    "storms_by_box",
    [storms_by_box_key],
    ttl=timedelta(days=366),  # until the next season is known
    fields={
        "hurricane_share": (Float64, "Storms here that were hurricanes a day later, in 5 years."),
    },
)

storm_status_v1 = FeatureService(name="storm_status_v1", features=[storms_by_box])
