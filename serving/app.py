"""The routes of the endpoint: a lean Starlette application that BentoML mounts at /.

`/healthz`, `/livez`, `/readyz` and `/metrics` are BentoML's own. Predicting is a plain ASGI endpoint: one read, one future, one send.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from serving.body import DisconnectedError, read_json
from serving.errors import RequestError, UnanswerableError
from serving.metrics import REFUSALS
from serving.openapi import openapi_document
from serving.runtime import Runtime

logger = logging.getLogger("flightdeck.serving")


class Holder:
    """Gives the routes the runtime, which only exists once the serving process has started."""

    runtime: Runtime | None = None

    def get(self) -> Runtime:
        """The runtime; raises `UnanswerableError` while the process is starting."""
        if self.runtime is None:
            raise UnanswerableError(503, "starting", "The endpoint is starting.")
        return self.runtime


class PredictEndpoint:
    """`POST /v1/models/{use_case}/predict` as ASGI: every outcome is one JSON document."""

    def __init__(self, holder: Holder) -> None:
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            status, body = 200, await self._holder.get().predict(scope["path_params"]["use_case"], await read_json(scope, receive))
        except DisconnectedError:
            return
        except RequestError as error:
            status, body = refuse(error)
        except Exception as error:
            logger.exception("a request failed unexpectedly")
            status, body = refuse(_internal(error))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 429:
            headers.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def refuse(error: RequestError) -> tuple[int, bytes]:
    """Status and body of a refusal, counted."""
    REFUSALS.labels(str(error.status), error.code).inc()
    return error.status, error.body()


def create_app(holder: Holder) -> Starlette:
    """All routes of our own."""

    async def models(_: Request) -> Response:
        return _json(holder.get().models().model_dump_json().encode())

    async def check(request: Request) -> Response:
        return _json(await holder.get().check(request.path_params["use_case"]))

    async def document(_: Request) -> Response:
        return _json(orjson.dumps(openapi_document(holder.get().schemas)))

    return Starlette(
        routes=[
            Route("/v1/models/{use_case}/predict", PredictEndpoint(holder), methods=["POST"]),
            Route("/v1/models", _guarded(models), methods=["GET"]),
            Route("/v1/models/{use_case}/check", _guarded(check), methods=["POST"]),
            Route("/docs.json", _guarded(document), methods=["GET"]),
        ],
    )


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestError as error:
            status, body = refuse(error)
        except Exception as error:
            logger.exception("a request failed unexpectedly")
            status, body = refuse(_internal(error))
        return _json(body, status)

    return guarded


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _internal(error: Exception) -> RequestError:
    return RequestError(500, "internal", f"The endpoint failed ({type(error).__name__}); its log says why.")
