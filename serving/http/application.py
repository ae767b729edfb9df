"""The endpoint's own ASGI application, which `serving/asgi.py` wraps for any server and BentoML
mounts at /.

`/healthz`, `/livez`, `/readyz` and `/metrics` are answered in front of it. What carries load is
found by splitting the path and answered with one read, one future, one send; everything else is a
Starlette application behind it. Every answer, also to a wrong path or method, is JSON, but for the
two pages for people, `/` and `/docs`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.contract.errors import RequestError
from serving.contract.refusals import internal, refuse
from serving.engine.runtime import RuntimeHolder
from serving.http import inference_protocol, swagger
from serving.http.answering import json_response, refused_response
from serving.http.describing import describe_model
from serving.http.examples import Examples
from serving.http.feedback import record_feedback
from serving.http.front_page import HEADERS, front_page, starting_page
from serving.http.openapi import openapi_document
from serving.http.predicting import explain, predict

logger = logging.getLogger("flightdeck.serving")

Action = Callable[[RuntimeHolder, str, Scope, Receive, Send], Awaitable[None]]
ACTIONS: dict[str, Action] = {"predict": predict, "explain": explain, "feedback": record_feedback}
"""What `POST /v1/models/{use_case}/<action>` does."""


PROCESS_PATHS = ("/healthz", "/livez", "/readyz", "/metrics")
"""Answered in front of these routes; what comes through has another method."""


class Application:
    """All routes of our own; `asks_for_key` says whether a gate in front of them asks for API
    keys.
    """

    def __init__(self, holder: RuntimeHolder, *, asks_for_key: bool = False) -> None:
        self._holder = holder
        self._rest = _everything_else(holder, asks_for_key=asks_for_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        parts = scope["path"].split("/")
        action = (
            ACTIONS.get(parts[4])
            if len(parts) == 5 and parts[1] == "v1" and parts[2] == "models"
            else None
        )
        if action is not None and scope["method"] == "POST":
            await action(self._holder, parts[3], scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def _everything_else(holder: RuntimeHolder, *, asks_for_key: bool) -> ASGIApp:
    examples = Examples()

    async def models(_: Request) -> Response:
        return json_response(holder.get().models().model_dump_json().encode())

    async def check(request: Request) -> Response:
        return json_response(await holder.get().check(request.path_params["use_case"]))

    async def describe(request: Request) -> Response:
        return json_response(
            describe_model(holder.get(), request.path_params["use_case"]).model_dump_json().encode()
        )

    async def document(_: Request) -> Response:
        runtime = holder.get()
        return json_response(
            orjson.dumps(
                openapi_document(
                    runtime.schemas, runtime.feedback_schemas, await examples.all(runtime)
                )
            )
        )

    async def front(request: Request) -> Response:
        runtime = holder.runtime
        if runtime is None:
            return HTMLResponse(starting_page(), 503, headers=HEADERS)
        address = str(request.base_url).rstrip("/")
        page = front_page(runtime, await examples.all(runtime), address, asks_for_key=asks_for_key)
        return HTMLResponse(page, headers=HEADERS)

    async def unreachable(_: Request) -> Response:
        raise NotImplementedError(
            "it is answered elsewhere; the route is here so that other methods get 405"
        )

    application = Starlette(
        routes=[
            *(
                Route(f"/v1/models/{{use_case}}/{action}", unreachable, methods=["POST"])
                for action in ACTIONS
            ),
            *(Route(path, unreachable, methods=["GET"]) for path in PROCESS_PATHS),
            Route("/", front, methods=["GET"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{use_case}", describe, methods=["GET"]),
            Route("/v1/models/{use_case}/check", check, methods=["POST"]),
            Route("/docs.json", document, methods=["GET"]),
            *swagger.routes(),
            *inference_protocol.Routes(holder).table(),
        ],
        exception_handlers={RequestError: _refused, HTTPException: _no_route, Exception: _failed},
    )
    application.router.redirect_slashes = False
    return application


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestError):
        raise error
    return refused_response(error, *refuse(error))


async def _no_route(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        text = f"{request.method} is not possible on {request.url.path}."
        return json_response(
            *refuse(RequestError(405, "method_not_allowed", text, valid=allowed.split(", "))),
            headers={"Allow": allowed},
        )
    text = f"There is no {request.url.path} here; GET /docs.json lists what is, /docs shows it."
    return json_response(*refuse(RequestError(404, "not_found", text)))


async def _failed(_: Request, error: Exception) -> Response:
    logger.error("a request failed unexpectedly", exc_info=error)
    return json_response(*refuse(internal(error)))
