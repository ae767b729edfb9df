"""The endpoint's stubs and a client's stubs of the same protocol live in one process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.settings import PROJECT_ROOT

STUBS = ("serving.grpc.open_inference_pb2_grpc", "tritonclient.grpc")


@pytest.mark.parametrize("order", [STUBS, STUBS[::-1]], ids=["endpoint first", "client first"])
def test_stubs_of_endpoint_and_client_are_loaded_together(order):
    code = f"import {order[0]}, {order[1]}"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stderr


def test_a_message_comes_back_as_it_was_written():
    from serving.grpc.open_inference_pb2 import ModelInferRequest

    request = ModelInferRequest(model_name="flight_delays")
    request.inputs.add(name="carrier", datatype="BYTES").shape.extend([1])
    request.parameters["id"].string_param = "a"
    assert ModelInferRequest.FromString(request.SerializeToString()) == request
