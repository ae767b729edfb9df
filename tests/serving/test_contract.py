"""The endpoint over HTTP: the contract, and every way to get it wrong."""

from __future__ import annotations

import http.client
import json
import re
from datetime import datetime
from typing import Any

import jsonschema
import numpy as np
import pytest

from include.features.retrieval import point_in_time
from include.model.package import load_model
from include.release.model_store import withdraw
from proofs.harness.endpoint import Endpoint
from proofs.harness.logged import logged_rows
from proofs.harness.world import World
from serving.contract.answers import (
    CheckAnswer,
    ErrorAnswer,
    ModelAnswer,
    ModelsAnswer,
    PredictAnswer,
)

pytestmark = pytest.mark.slow
PREDICT = "/v1/models/flight_delays/predict"


def test_without_a_model_it_is_alive_and_not_ready_and_says_why(
    bare_endpoint: Endpoint, world: World
) -> None:
    withdraw(world.settings, "flight_delays")
    bare_endpoint.wait_for_version(None)
    assert bare_endpoint.client.get("/healthz").status_code == 200
    assert bare_endpoint.client.get("/readyz").status_code == 503
    answer = bare_endpoint.predict(world.rows[:1])
    assert answer.status_code == 503
    assert ErrorAnswer.model_validate(answer.json()).error.code == "no_model"
    assert bare_endpoint.model()["version"] is None


def test_predictions_equal_the_offline_scores_and_are_in_the_log(
    endpoint: Endpoint, world: World
) -> None:
    answers = [
        endpoint.predict(world.rows[start : start + 50]) for start in range(0, len(world.rows), 50)
    ]
    assert {answer.status_code for answer in answers} == {200}
    predictions = [
        prediction
        for answer in answers
        for prediction in PredictAnswer.model_validate(answer.json()).predictions
    ]
    offline = load_model(world.packages[1]).score_frame(
        point_in_time(world.use_case, world.entities, world.settings)
    )
    assert len(predictions) == len(offline) > 100
    assert (
        np.abs(np.array([prediction.probability for prediction in predictions]) - offline).max()
        < 1e-6
    )
    assert np.std(offline) > 0.01
    threshold = world.use_case.serving.decision_threshold
    assert all(
        prediction.decision == (prediction.probability >= threshold) for prediction in predictions
    )
    logged = dict(logged_rows(world.settings).select("prediction_id", "score").rows())
    assert all(
        logged[prediction.prediction_id] == prediction.probability for prediction in predictions
    )


def test_unknown_keys_stale_features_and_unseen_categories_are_answered_and_flagged(
    endpoint: Endpoint, world: World
) -> None:
    row = world.rows[0]
    rows = [
        {**row, "tailnum": "N0NE"},
        {**row, "tailnum": None},
        {**row, "dest": "XYZ"},
        {**row, "asked_at": "2013-06-01T00:00:00Z", "scheduled_departure": "2013-06-01T03:00:00Z"},
    ]
    flags = [set(item["flags"]) for item in endpoint.predict(rows).json()["predictions"]]
    assert flags[0] == flags[1] == {"unknown:plane"}
    assert {"unknown:route_daily", "unseen:dest"} <= flags[2]
    assert "stale:weather_hourly" in flags[3]
    metrics = endpoint.client.get("/metrics").text
    assert re.search(
        r'flightdeck_flags_total\{flag="unknown:plane",use_case="flight_delays"\} [1-9]', metrics
    )


def test_a_row_that_brings_its_features_scores_like_one_that_is_looked_up(
    endpoint: Endpoint, world: World
) -> None:
    known = point_in_time(world.use_case, world.entities[:3], world.settings)
    names = [name for name in known.columns if "__" in name]
    features = [{name: row[name] for name in names} for row in known.to_dicts()]
    given = [
        {**row, "tailnum": "N0NE", "features": values}
        for row, values in zip(world.rows[:3], features, strict=True)
    ]
    looked_up = endpoint.predict(world.rows[:3]).json()["predictions"]
    mixed = endpoint.predict([given[0], world.rows[1], given[2]]).json()["predictions"]
    assert [row["probability"] for row in mixed] == pytest.approx(
        [row["probability"] for row in looked_up], abs=1e-6
    )
    assert mixed[0]["flags"] == mixed[2]["flags"] == []
    missing = endpoint.predict(
        [{**given[0], "features": {name: features[0][name] for name in names[1:]}}]
    )
    assert (missing.status_code, missing.json()["error"]["field"]) == (
        422,
        f"rows[0].features.{names[0]}",
    )
    assert endpoint.predict([{**given[0], "features": dict.fromkeys(names)}]).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", PREDICT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/predict", 404, "not_found"),
        ("POST", "/v1/models/nope/predict", 404, "unknown_use_case"),
        ("GET", "/v1", 404, "not_found"),
    ],
)
def test_wrong_paths_and_methods_are_answered_in_json(
    endpoint: Endpoint, method: str, path: str, status: int, code: str
) -> None:
    answer = endpoint.client.request(method, path)
    assert (answer.status_code, ErrorAnswer.model_validate(answer.json()).error.code) == (
        status,
        code,
    )
    assert status != 405 or answer.headers["allow"]


def raw(endpoint: Endpoint, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=30)
    try:
        connection.request("POST", PREDICT, body, headers or {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def body_with(world: World, text: str) -> bytes:
    """A valid body in which `@` of the row's carrier is replaced by a text."""
    row = json.dumps({**world.rows[0], "carrier": "@"})
    return ('{"rows": [' + row.replace('"@"', text) + "]}").encode("utf-8", "surrogatepass")


@pytest.mark.parametrize(
    ("text", "status", "code", "field"),
    [
        ("NaN", 400, "malformed_json", None),
        ("Infinity", 400, "malformed_json", None),
        ("-Infinity", 400, "malformed_json", None),
        ("1e999", 422, "invalid_value", "rows[0].carrier"),
        ("0x10", 400, "malformed_json", None),
        ("9" * 5000, 400, "malformed_json", None),
        ("9" * 400, 422, "invalid_value", "rows[0].carrier"),
        ("[" * 5000 + "]" * 5000, 400, "nested_too_deeply", None),
        ("[" * 100 + "]" * 100, 422, "invalid_value", "rows[0].carrier"),
        ("null", 422, "invalid_value", "rows[0].carrier"),
        ("5", 422, "invalid_value", "rows[0].carrier"),
        ('{"a": 1}', 422, "invalid_value", "rows[0].carrier"),
        ('"AA", "carrier": "UA"', 400, "duplicate_field", "rows[0].carrier"),
        ('"AA", "carier": "UA"', 422, "unknown_field", "rows[0].carier"),
        ('"\\ud800"', 400, "invalid_unicode", None),
        ('"\ud800"', 400, "invalid_utf8", None),
        ('"AA', 400, "malformed_json", None),
    ],
)
def test_wrong_values_get_a_4xx_with_the_path(
    endpoint: Endpoint, world: World, text: str, status: int, code: str, field: str | None
) -> None:
    seen, document = raw(endpoint, body_with(world, text))
    error = ErrorAnswer.model_validate(document).error
    assert (seen, error.code, error.field) == (status, code, field)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        ({}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/vnd.bentoml+pickle"}, 415, "unsupported_media_type"),
        (
            {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            415,
            "unsupported_encoding",
        ),
    ],
)
def test_other_content_is_refused(
    endpoint: Endpoint, world: World, headers: dict[str, str], status: int, code: str
) -> None:
    seen, document = raw(endpoint, body_with(world, '"AA"'), headers or {"X-None": "1"})
    assert (seen, document["error"]["code"]) == (status, code)


@pytest.mark.parametrize("size", [1_000_001, 3_000_000])
def test_a_body_over_one_megabyte_is_refused_with_413(
    endpoint: Endpoint, world: World, size: int
) -> None:
    body = body_with(world, '"AA"')
    assert raw(endpoint, body + b" " * (1_000_000 - len(body)))[0] == 200
    seen, document = raw(endpoint, body + b" " * (size - len(body)))
    assert (seen, document["error"]["code"]) == (413, "body_too_large")


def test_too_many_rows_and_other_methods_are_refused(endpoint: Endpoint, world: World) -> None:
    answer = endpoint.predict(world.rows[:1] * 101)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "rows")
    assert endpoint.client.get(PREDICT).status_code == 405
    assert endpoint.client.post("/v1/models/nope/check").status_code == 404


def test_the_openapi_document_describes_what_the_endpoint_does(
    endpoint: Endpoint, unserved: re.Pattern[str]
) -> None:
    document = endpoint.client.get("/docs.json").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        if unserved.search(path):
            continue
        for method, described in operations.items():
            body = described.get("requestBody", {}).get("content", {}).get("application/json", {})
            example = body["examples"]["example"]["value"] if body else None
            answer = endpoint.client.request(method, path, json=example)
            assert answer.status_code == 200, (path, answer.text)
            schema = (
                described["responses"]["200"]["content"].get("application/json", {}).get("schema")
            )
            if schema is not None:
                jsonschema.validate(answer.json(), {**schema, "components": document["components"]})
    assert {"400", "413", "415", "422", "503"} <= set(
        document["paths"][PREDICT]["post"]["responses"]
    )
    assert {"/healthz", "/readyz", "/livez", "/metrics", "/v1/models"} <= set(document["paths"])


def test_a_model_says_what_it_asks_for_and_where_it_comes_from(
    endpoint: Endpoint, world: World
) -> None:
    answer = ModelAnswer.model_validate(endpoint.client.get("/v1/models/flight_delays").json())
    assert answer.entity_keys == list(world.use_case.serving.entity_keys)
    assert (answer.status.version, answer.status.digest) == (1, world.digests[1])
    assert answer.model is not None
    assert answer.model.metrics["auc"] > 0.5
    assert len(answer.inputs) == len(world.use_case.inputs)


def test_model_status_check_and_metrics(endpoint: Endpoint, world: World) -> None:
    status = ModelsAnswer.model_validate(endpoint.client.get("/v1/models").json())
    model = next(model for model in status.models if model.use_case == "flight_delays")
    assert (model.digest, model.last_error, status.log.writable) == (world.digests[1], None, True)
    assert isinstance(model.since, datetime)
    check = CheckAnswer.model_validate(
        endpoint.client.post("/v1/models/flight_delays/check").json()
    )
    assert (check.version, check.digest, check.rows) == (1, world.digests[1], 20)
    assert check.largest_difference <= 1e-6
    endpoint.predict(world.rows[:1])
    metrics = endpoint.client.get("/metrics").text
    for name in (
        'flightdeck_stage_seconds_count{stage="lookup"',
        'flightdeck_stage_seconds_count{stage="log"',
        'flightdeck_predictions_total{use_case="flight_delays",version="1"}',
        'flightdeck_refusals_total{code="malformed_json",status="400"}',
        "flightdeck_log_backlog_rows",
        'flightdeck_model_version{use_case="flight_delays"} 1.0',
    ):
        assert name in metrics
