"""The Open Inference Protocol over REST and gRPC, asked by Triton's clients, which nobody here
wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from include.features.retrieval import point_in_time
from include.release.model_store import set_desired
from proofs.harness.endpoint import GRPC_PORT, Endpoint
from proofs.harness.logged import logged_rows
from proofs.harness.ports import free_port
from proofs.harness.world import World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning"),
]
KEYS = ("carrier", "origin", "dest", "tailnum", "scheduled_departure", "asked_at")
MODEL, BY_FEATURES = "flight_delays", "flight_delays.features"
NUMPY = {"BYTES": np.object_, "FP64": np.float64, "INT64": np.int64, "BOOL": np.bool_}


@pytest.fixture(scope="module")
def oip(world: World) -> Iterator[Endpoint]:
    """An endpoint with a gRPC port."""
    set_desired(world.settings, MODEL, 1, world.digests[1])
    with Endpoint(world.settings, changes={GRPC_PORT: str(free_port())}) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


@pytest.fixture(scope="module", params=["http", "grpc"])
def client(request: pytest.FixtureRequest, oip: Endpoint) -> Iterator[Any]:
    """Triton's client for either transport, and the module it comes from."""
    if request.param == "http":
        made = triton_http.InferenceServerClient(f"127.0.0.1:{oip.port}")
        yield made, triton_http
    else:
        made = triton_grpc.InferenceServerClient(oip.grpc_address)
        yield made, triton_grpc
    made.close()


def tensors(
    module: Any, columns: dict[str, list[Any]], kinds: dict[str, str], **options: Any
) -> list[Any]:
    made = []
    for name, values in columns.items():
        tensor = module.InferInput(name, [len(values)], kinds[name])
        made.append(tensor)
        tensor.set_data_from_numpy(
            np.array([_null(value, kinds[name]) for value in values], dtype=NUMPY[kinds[name]]),
            **options,
        )
    return made


def _null(value: Any, kind: str) -> Any:
    return value if value is not None else float("nan") if kind == "FP64" else ""


def key_columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in KEYS}


def test_health_and_metadata(client: Any) -> None:
    asked, module = client
    assert asked.is_server_live()
    assert asked.is_server_ready()
    assert asked.is_model_ready(MODEL)
    assert asked.is_model_ready(BY_FEATURES, "1")
    options = {"as_json": True} if module is triton_grpc else {}
    assert asked.get_server_metadata(**options)["name"] == "flightdeck"
    metadata = asked.get_model_metadata(MODEL, **options)
    assert metadata["versions"] == ["1"]
    assert [tensor["name"] for tensor in metadata["inputs"]] == list(KEYS)
    assert {tensor["datatype"] for tensor in metadata["inputs"]} == {"BYTES"}
    assert {tensor["name"]: tensor["datatype"] for tensor in metadata["outputs"]} == {
        "probability": "FP64",
        "decision": "BOOL",
        "prediction_id": "BYTES",
        "flags": "BYTES",
        "model_version": "INT64",
    }
    assert len(asked.get_model_metadata(BY_FEATURES, **options)["inputs"]) == len(KEYS) + 15


def test_predictions_by_keys_equal_those_of_predict_and_are_logged(
    client: Any, oip: Endpoint, world: World
) -> None:
    asked, module = client
    rows = world.rows[:40]
    answer = asked.infer(
        MODEL, tensors(module, key_columns(rows), dict.fromkeys(KEYS, "BYTES")), request_id="mine"
    )
    expected = oip.predict(rows).json()["predictions"]
    assert answer.as_numpy("probability").tolist() == pytest.approx(
        [row["probability"] for row in expected], abs=1e-9
    )
    assert answer.as_numpy("decision").tolist() == [row["decision"] for row in expected]
    assert [text.decode() for text in answer.as_numpy("flags")] == [
        ",".join(row["flags"]) for row in expected
    ]
    response = answer.get_response(as_json=True) if module is triton_grpc else answer.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == (
        MODEL,
        "1",
        "mine",
    )
    logged = set(logged_rows(world.settings)["prediction_id"])
    assert {text.decode() for text in answer.as_numpy("prediction_id")} <= logged


def test_predictions_by_full_features_equal_those_that_are_looked_up(
    client: Any, oip: Endpoint, world: World
) -> None:
    asked, module = client
    options = {"as_json": True} if module is triton_grpc else {}
    kinds = {
        tensor["name"]: tensor["datatype"]
        for tensor in asked.get_model_metadata(BY_FEATURES, **options)["inputs"]
    }
    known = point_in_time(world.use_case, world.entities[:40], world.settings)
    columns = {
        **{name: known[name].to_list() for name in kinds if "__" in name},
        **key_columns(world.rows[:40]),
    }
    answer = asked.infer(
        BY_FEATURES,
        tensors(module, columns, kinds),
        outputs=[module.InferRequestedOutput("probability")],
        model_version="1",
    )
    expected = [row["probability"] for row in oip.predict(world.rows[:40]).json()["predictions"]]
    assert answer.as_numpy("probability").tolist() == pytest.approx(expected, abs=1e-6)
    assert answer.as_numpy("decision") is None


def test_plain_json_tensors_are_answered_in_json(oip: Endpoint, world: World) -> None:
    inputs = [
        {"name": name, "shape": [2, 1], "datatype": "BYTES", "data": [[value] for value in values]}
        for name, values in key_columns(world.rows[:2]).items()
    ]
    answer = oip.client.post(
        f"/v2/models/{MODEL}/infer", json={"inputs": inputs, "outputs": [{"name": "probability"}]}
    )
    (output,) = answer.json()["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probability", "FP64", [2])
    assert output["data"] == pytest.approx(
        [row["probability"] for row in oip.predict(world.rows[:2]).json()["predictions"]]
    )


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"carrier": ("BYTES", ["AA", "UA"])}, "different numbers of rows"),
        ({"carrier": ("FP64", [1.0])}, "BYTES"),
        ({"carier": ("BYTES", ["AA"])}, "carier"),
        ({"asked_at": ("BYTES", ["yesterday"])}, "asked_at[0]"),
        ({"carrier": ("BYTES", [""])}, "carrier[0]"),
        ({"carrier": None}, "carrier"),
    ],
)
def test_wrong_tensors_are_refused_by_name(
    client: Any, world: World, change: dict[str, Any], word: str
) -> None:
    asked, module = client
    columns, kinds = key_columns(world.rows[:1]), dict.fromkeys(KEYS, "BYTES")
    for name, replaced in change.items():
        if replaced is None:
            del columns[name]
        else:
            kinds[name], columns[name] = replaced
    with pytest.raises(InferenceServerException) as refused:
        asked.infer(MODEL, tensors(module, columns, kinds))
    assert word in str(refused.value)
    assert refused.value.status() in ("422", "StatusCode.INVALID_ARGUMENT", None)


def test_unknown_models_versions_and_outputs_are_refused(client: Any, world: World) -> None:
    asked, module = client
    inputs = tensors(module, key_columns(world.rows[:1]), dict.fromkeys(KEYS, "BYTES"))
    with pytest.raises(InferenceServerException, match="There is no model 'nope'"):
        asked.infer("nope", inputs)
    with pytest.raises(InferenceServerException, match="Version '7'"):
        asked.infer(MODEL, inputs, model_version="7")
    with pytest.raises(InferenceServerException, match="no output 'score'"):
        asked.infer(MODEL, inputs, outputs=[module.InferRequestedOutput("score")])
    with pytest.raises(InferenceServerException, match="priority"):
        asked.infer(MODEL, inputs, priority=3)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"inputs": [], "inputs": []}', {}, 400),
        (
            b'{"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES", "data": [NaN]}]}',
            {},
            400,
        ),
        (
            (
                b'{"inputs": [{"name": "carrier", "shape": [-1], "datatype": "BYTES", "data":'
                b' ["AA"]}]}'
            ),
            {},
            422,
        ),
        (
            (
                b'{"inputs": [{"name": "carrier", "shape": [1], "datatype": "BYTES", "data":'
                b' ["AA"]}], "more": 1}'
            ),
            {},
            422,
        ),
        (b"{}", {"Inference-Header-Content-Length": "9"}, 400),
        (b"{}junk", {"Inference-Header-Content-Length": "2"}, 422),
        (b"{}", {"Content-Type": "text/plain"}, 415),
        (b" " * 1_000_001, {}, 413),
    ],
)
def test_malformed_inference_requests_get_a_4xx_in_json(
    oip: Endpoint, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = oip.client.post(
        f"/v2/models/{MODEL}/infer",
        content=body,
        headers={"Content-Type": "application/json", **headers},
    )
    assert answer.status_code == status, answer.text
    assert isinstance(orjson.loads(answer.content)["error"], str)
