"""Feedback over HTTP: durable, idempotent, late, and honest about ids that nobody was answered
under.
"""

from __future__ import annotations

from typing import Any

import pytest

from include.inference_log.log import ship, ship_feedback
from include.tables.store import TableStore
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World
from serving.contract.answers import ErrorAnswer, FeedbackAnswer

pytestmark = pytest.mark.slow
UNKNOWN = "0190a0b4f0c07d1e9f6a3c2b1d0e4f5a"


def tell(endpoint: Endpoint, *rows: dict[str, Any]) -> FeedbackAnswer:
    answer = endpoint.client.post("/v1/models/flight_delays/feedback", json={"feedback": rows})
    assert answer.status_code == 200, answer.text
    return FeedbackAnswer.model_validate(answer.json())


def test_feedback_is_kept_once_late_or_repeated_and_unknown_ids_are_told(
    endpoint: Endpoint, world: World
) -> None:
    first, second = (
        prediction["prediction_id"]
        for prediction in endpoint.predict(world.rows[:2]).json()["predictions"]
    )
    label = {"prediction_id": first, "label": 1, "known_at": "2013-02-15T20:00:00Z"}
    seen = tell(
        endpoint,
        label,
        {"prediction_id": second, "reward": -2.5},
        {"prediction_id": UNKNOWN, "label": 0},
    )
    assert (seen.recorded, seen.repeated, seen.conflicting, seen.unknown) == (
        [first, second],
        [],
        [],
        [UNKNOWN],
    )
    ship(world.settings, "flight_delays")
    again = tell(endpoint, label, {**label, "label": 0})
    assert (again.recorded, again.repeated, again.conflicting) == ([], [first], [first])
    late = tell(endpoint, {"prediction_id": second, "label": 0})
    assert late.recorded == [second]
    ship_feedback(world.settings, "flight_delays")
    table = TableStore(world.settings.tables_uri).read("flight_delays/feedback")
    kept = {(row["prediction_id"], row["name"], row["value"]) for row in table.to_dicts()}
    assert {(first, "label", 1.0), (second, "reward", -2.5), (second, "label", 0.0)} <= kept
    assert table.filter(table["prediction_id"] == first).height == 1


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"prediction_id": UNKNOWN}, "feedback[0]"),
        ({"prediction_id": UNKNOWN, "label": 1, "reward": 1}, "feedback[0]"),
        ({"prediction_id": UNKNOWN, "label": 2}, "feedback[0].label"),
        ({"prediction_id": UNKNOWN, "label": True}, "feedback[0].label"),
        ({"prediction_id": UNKNOWN, "reward": 1e39}, "feedback[0].reward"),
        ({"prediction_id": "x", "label": 1}, "feedback[0].prediction_id"),
        ({"label": 1}, "feedback[0].prediction_id"),
        ({"prediction_id": UNKNOWN, "lable": 1}, "feedback[0].lable"),
        (
            {"prediction_id": UNKNOWN, "label": 1, "known_at": "2013-02-30T00:00:00Z"},
            "feedback[0].known_at",
        ),
        (
            {"prediction_id": UNKNOWN, "label": 1, "known_at": "2999-01-01T00:00:00Z"},
            "feedback[0].known_at",
        ),
    ],
)
def test_feedback_of_another_form_is_refused_with_the_path(
    endpoint: Endpoint, row: dict[str, Any], field: str
) -> None:
    answer = endpoint.client.post("/v1/models/flight_delays/feedback", json={"feedback": [row]})
    error = ErrorAnswer.model_validate(answer.json()).error
    assert (answer.status_code, error.field) == (422, field)
    assert error.valid
