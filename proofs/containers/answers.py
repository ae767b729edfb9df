"""Questions to the endpoint behind the proxy, over HTTP and gRPC, and which replica answered."""

from __future__ import annotations

import time
from typing import Any

import grpc
import httpx

from cli.runs.smoke import example_request
from include.tls import trusted
from proofs.containers.stack import Stack
from proofs.harness.endpoint import PREDICT, USE_CASE
from serving.grpc import open_inference_pb2 as messages
from serving.grpc import open_inference_pb2_grpc as stubs

REPLICA = "x-replica"
SECONDS = 60.0


def example_row(stack: Stack) -> dict[str, Any]:
    """The row that the endpoint's own pages ask about: one of its online store."""
    documented = httpx.get(
        f"{stack.http}/docs.json", trust_env=False, timeout=30, verify=trusted()
    ).json()
    row: dict[str, Any] = example_request(documented, f"/v1/models/{USE_CASE}")["rows"][0]
    return row


def replicas_over_http(stack: Stack, row: dict[str, Any], seconds: float = SECONDS) -> set[str]:
    """Those that answered with a score, until there are two or the time is over."""
    seen, deadline = set[str](), time.monotonic() + seconds
    with httpx.Client(base_url=stack.http, trust_env=False, timeout=30, verify=trusted()) as client:
        while len(seen) < 2 and time.monotonic() < deadline:
            answer = client.post(PREDICT, json={"rows": [row]})
            if answer.status_code == httpx.codes.OK:
                seen.add(answer.headers[REPLICA])
    return seen


def replicas_over_grpc(stack: Stack, row: dict[str, Any], seconds: float = SECONDS) -> set[str]:
    """The same by the Open Inference Protocol over gRPC."""
    seen, deadline = set[str](), time.monotonic() + seconds
    with grpc.insecure_channel(stack.grpc) as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        while len(seen) < 2 and time.monotonic() < deadline:
            answer, call = stub.ModelInfer.with_call(infer_request(row), timeout=30)
            if answer.outputs:
                seen.add(dict(call.initial_metadata())[REPLICA])
    return seen


def infer_request(row: dict[str, Any]) -> Any:
    """A row of texts as tensors of one element."""
    return messages.ModelInferRequest(
        model_name=USE_CASE,
        inputs=[
            messages.ModelInferRequest.InferInputTensor(
                name=name,
                datatype="BYTES",
                shape=[1],
                contents=messages.InferTensorContents(bytes_contents=[str(value).encode()]),
            )
            for name, value in row.items()
        ],
    )


def probability(stack: Stack, row: dict[str, Any]) -> float:
    """What the endpoint answers about the row."""
    answer = httpx.post(
        f"{stack.http}{PREDICT}",
        json={"rows": [row]},
        trust_env=False,
        timeout=30,
        verify=trusted(),
    )
    return float(answer.raise_for_status().json()["predictions"][0]["probability"])
