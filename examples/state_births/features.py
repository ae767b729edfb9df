"""Feast's definitions of the features of state_births."""

from __future__ import annotations

from datetime import timedelta

from feast import FeatureService
from feast.types import Float64

from feature_repo.shared import key, view

state_births_by_state_key = key("state", "A state of the USA.", name="state_births_by_state")

state_births_by_state = view(
    "state_births_by_state",
    [state_births_by_state_key],
    ttl=timedelta(days=34),  # a month, until features are renewed, and a little more
    fields={
        "births_mean_7d": (Float64, "Mean of births over the last 7 days."),
        "births_mean_28d": (Float64, "The same over 28 days."),
    },
)

state_births_v1 = FeatureService(
    name="state_births_v1",
    description="The features of the state_births model, version 1.",
    features=[state_births_by_state],
)
