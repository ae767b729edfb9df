"""The Open Inference Protocol, version 2, over REST, with its binary tensor data extension.

A refusal is `{"error": "<text>", "code": ..., "field": ...}`: the protocol wants the text where
`/v1` has an object.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.contract.body import DisconnectedError, read_bytes
from serving.contract.errors import RequestError
from serving.contract.refusals import answer_or_refusal, refuse
from serving.engine.runtime import RuntimeHolder
from serving.http.answering import json_response, refused_response
from serving.oip.answering import SERVER, InferAnswer, Models
from serving.oip.rest_request import HEADER_LENGTH, read_request
from serving.oip.tensors import to_bytes

Handler = Callable[[Request], Awaitable[Response]]


class Routes:
    """The protocol's routes."""

    def __init__(self, holder: RuntimeHolder) -> None:
        self._holder = holder
        self._models: Models | None = None

    def table(self) -> list[Route]:
        """Say what answers where."""
        model = "/v2/models/{name}"
        table: list[tuple[str, Handler, str]] = [
            ("/v2", self._server, "GET"),
            ("/v2/health/live", self._live, "GET"),
            ("/v2/health/ready", self._ready, "GET"),
        ]
        for path in (model, model + "/versions/{version}"):
            table += [
                (path, self._metadata, "GET"),
                (path + "/ready", self._model_ready, "GET"),
                (path + "/infer", self._infer, "POST"),
            ]
        return [Route(path, _guarded(handler), methods=[method]) for path, handler, method in table]

    def _get(self) -> Models:
        runtime = self._holder.get()
        if self._models is None or self._models.runtime is not runtime:
            self._models = Models(runtime)
        return self._models

    async def _server(self, _: Request) -> Response:
        return json_response(orjson.dumps(SERVER))

    async def _live(self, _: Request) -> Response:
        runtime = self._holder.runtime
        return _health({"live": runtime is not None and runtime.alive()})

    async def _ready(self, _: Request) -> Response:
        return _health({"ready": self._holder.runtime is not None and self._get().server_ready()})

    async def _metadata(self, request: Request) -> Response:
        model = self._get().select(*_model_and_version(request))
        return json_response(orjson.dumps(model.metadata(self._get().versions(model))))

    async def _model_ready(self, request: Request) -> Response:
        model = self._get().select(*_model_and_version(request))
        return _health({"name": model.name, "ready": self._get().ready(model)})

    async def _infer(self, request: Request) -> Response:
        document = read_request(request, await read_bytes(request.receive))
        return _answer(await self._get().infer(*_model_and_version(request), document))


def _model_and_version(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params.get("version", "")


def _health(answer: dict[str, Any]) -> Response:
    return json_response(
        orjson.dumps(answer), 200 if answer.get("ready", answer.get("live")) else 503
    )


def _answer(answer: InferAnswer) -> Response:
    document: dict[str, Any] = {"model_name": answer.model}
    if answer.version:
        document["model_version"] = answer.version
    if answer.identifier:
        document["id"] = answer.identifier
    chunks, outputs = [], []
    for tensor in answer.outputs:
        described: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": [len(tensor.values)],
        }
        if tensor.binary:
            chunks.append(to_bytes(tensor.datatype, tensor.values))
            described["parameters"] = {"binary_data_size": len(chunks[-1])}
        else:
            described["data"] = tensor.values
        outputs.append(described)
    header = orjson.dumps({**document, "outputs": outputs})
    if not chunks:
        return json_response(header)
    return Response(
        b"".join([header, *chunks]),
        headers={HEADER_LENGTH: str(len(header))},
        media_type="application/octet-stream",
    )


def _guarded(handler: Handler) -> Handler:
    async def guarded(request: Request) -> Response:
        try:
            outcome = await answer_or_refusal(handler(request))
        except DisconnectedError:
            return Response(status_code=499)
        return _refusal(outcome) if isinstance(outcome, RequestError) else outcome

    return guarded


def _refusal(error: RequestError) -> Response:
    body, status = refuse(error)
    detail = orjson.loads(body)["error"]
    valid = f" Valid: {', '.join(detail['valid'])}." if detail.get("valid") else ""
    document = {
        "error": detail["message"] + valid,
        "code": detail["code"],
        "field": detail["field"],
    }
    return refused_response(error, orjson.dumps(document), status)
