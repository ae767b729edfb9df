"""Features that are later than the question: flagged, refused or accepted, over every way to
ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
import tritonclient.grpc as triton

from include.features.online.store import OnlineFeatures
from include.release.model_store import set_desired
from proofs.harness.endpoint import GRPC_PORT, PREDICT, Endpoint, overlay
from proofs.harness.logged import logged_rows
from proofs.harness.ports import free_port
from proofs.harness.world import INTERVAL, World
from serving.scoring.lookup import gather_features

pytestmark = pytest.mark.slow
PAST = {"asked_at": "2013-02-01T12:00:00Z", "scheduled_departure": "2013-02-01T15:00:00Z"}
NEWER = {"newer:weather_hourly", "newer:origin_hourly"}
TENSORS = ("carrier", "origin", "dest", "tailnum", "scheduled_departure", "asked_at")


@pytest.fixture(scope="module")
def strict(world: World) -> Iterator[Endpoint]:
    """An endpoint that refuses such rows, with a gRPC port."""
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    changes = overlay(
        world.settings.home, '{"flight_delays": {"serving": {"newer_features": "refuse"}}}'
    )
    with Endpoint(world.settings, changes={**changes, GRPC_PORT: str(free_port())}) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


@pytest.mark.parametrize("action", ["predict", "explain"])
def test_a_question_about_the_past_is_answered_and_flagged(
    endpoint: Endpoint, world: World, action: str
) -> None:
    row = {name: value for name, value in world.rows[0].items() if name != "flight_id"}
    path = f"/v1/models/flight_delays/{action}"
    answer = endpoint.client.post(path, json={"rows": [row, {**row, **PAST}]}).json()
    now, past = answer["predictions"]
    assert not [flag for flag in now["flags"] if flag.startswith("newer:")]
    assert set(past["flags"]) >= NEWER
    logged = dict(logged_rows(world.settings).select("prediction_id", "flags").rows())
    assert list(logged[past["prediction_id"]]) == past["flags"]
    metrics = endpoint.client.get("/metrics").text
    assert 'flightdeck_flags_total{flag="newer:weather_hourly",use_case="flight_delays"}' in metrics


def test_the_open_inference_protocol_flags_it_too(endpoint: Endpoint, world: World) -> None:
    row = {**world.rows[0], **PAST}
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [row[name] or ""]}
        for name in TENSORS
    ]
    answer = endpoint.client.post("/v2/models/flight_delays/infer", json={"inputs": inputs}).json()
    flags = next(tensor["data"][0] for tensor in answer["outputs"] if tensor["name"] == "flags")
    assert set(flags.split(",")) >= NEWER


def test_the_policy_may_refuse_it_over_http_and_grpc(strict: Endpoint, world: World) -> None:
    good, past = world.rows[0], {**world.rows[0], **PAST}
    refused = strict.client.post(PREDICT, json={"rows": [good, past]})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["field"]) == (
        422,
        "newer_features",
        "rows[1]",
    )
    assert "weather_hourly" in error["message"]
    inputs = []
    for name in TENSORS:
        tensor = triton.InferInput(name, [1], "BYTES")
        tensor.set_data_from_numpy(np.array([past[name] or ""], dtype=np.object_))
        inputs.append(tensor)
    with (
        triton.InferenceServerClient(strict.grpc_address) as client,
        pytest.raises(triton.InferenceServerException, match="weather_hourly are later"),
    ):
        client.infer("flight_delays", inputs)
    assert strict.predict([good]).status_code == 200


def test_rows_that_bring_their_features_are_of_no_time(strict: Endpoint, world: World) -> None:
    names = strict.client.get("/v1/models/flight_delays").json()["features"]
    row = {**world.rows[0], **PAST, "features": dict.fromkeys(names)}
    (prediction,) = strict.predict([row]).json()["predictions"]
    assert prediction["flags"] == []


def test_the_document_promises_what_the_policy_keeps(endpoint: Endpoint, strict: Endpoint) -> None:
    for server, promise in ((endpoint, "`newer:<view>` flags"), (strict, "the row is refused")):
        components = server.client.get("/docs.json").json()["components"]["schemas"]
        asked_at = components["FlightDelaysRow"]["properties"]["asked_at"]
        assert promise in asked_at["description"]


def test_accepted_features_carry_no_flag(world: World) -> None:
    serving = world.use_case.serving.model_copy(update={"newer_features": "accept"})
    accepting = world.use_case.model_copy(update={"serving": serving})
    online = OnlineFeatures(world.use_case, world.settings)
    row = {**world.rows[0], world.use_case.event_time: INTERVAL.end - timedelta(days=3)}
    flagged = gather_features(world.use_case, online, [row])
    accepted = gather_features(accepting, online, [row])
    assert "weather_hourly" in flagged.newer[0]
    assert accepted.newer == [()]
    assert accepted.features == flagged.features
