"""The endpoint is one ASGI application for any server: our routes, and what BentoML brings of its
own, under the same paths.

`flightdeck serve` runs it under uvicorn. `bentoml serve serving.service:FlightdeckService` runs
the same routes with more around every request (docs/adr/0015-uvicorn-runs-the-endpoint.md).
"""

from __future__ import annotations

import logging
import os
import struct
import time
from contextlib import suppress

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.settings import load_settings
from serving.http.api_key_gate import ApiKeyGate
from serving.http.application import Application
from serving.lifecycle import Lifecycle

SETTINGS = load_settings()
SHARED_METRICS = os.environ.get("PROMETHEUS_MULTIPROC_DIR")

METRICS_TRIES = 3
METRICS_WAIT_SECONDS = 0.002

logger = logging.getLogger("flightdeck.serving")


class Endpoint:
    """The application, and what every server asks of a process: life, health, metrics."""

    def __init__(self) -> None:
        self.lifecycle = Lifecycle(SETTINGS)
        self._routes = Application(
            self.lifecycle.holder, asks_for_key=self.lifecycle.api_keys is not None
        )
        self._process_routes = {
            "/livez": self._live,
            "/healthz": self._live,
            "/readyz": self._ready,
            "/metrics": self._metrics,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live_through(receive, send)
            return
        route = (
            self._process_routes.get(scope["path"])
            if scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
            else None
        )
        if route is None:
            await self._routes(scope, receive, send)
            return
        status, kind, body = route()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    async def _live_through(self, receive: Receive, send: Send) -> None:
        await receive()
        answer: Message = {"type": "lifespan.startup.complete"}
        try:
            self.lifecycle.start()
            await self.lifecycle.listen()
        except Exception as error:
            logger.exception("the endpoint does not start")
            answer = {"type": "lifespan.startup.failed", "message": repr(error)}
        await send(answer)
        await receive()
        await self.lifecycle.stop()
        await send({"type": "lifespan.shutdown.complete"})

    def _live(self) -> tuple[int, str, bytes]:
        return _state(self.lifecycle.not_alive())

    def _ready(self) -> tuple[int, str, bytes]:
        return _state(self.lifecycle.not_ready())

    def _metrics(self) -> tuple[int, str, bytes]:
        registry = REGISTRY
        if SHARED_METRICS:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=SHARED_METRICS)  # type: ignore[no-untyped-call]
        for _ in range(METRICS_TRIES):
            # A worker that is starting has made its file and not filled it yet.
            with suppress(struct.error):
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            time.sleep(METRICS_WAIT_SECONDS)
        return _state("another worker's metrics cannot be read yet")


def _state(reason: str | None) -> tuple[int, str, bytes]:
    return (
        (200, "text/plain", b"\n")
        if reason is None
        else (503, "text/plain", f"{reason}\n".encode())
    )


ENDPOINT = Endpoint()
application: ASGIApp = ENDPOINT
if ENDPOINT.lifecycle.api_keys is not None:
    application = ApiKeyGate(ENDPOINT, keys=ENDPOINT.lifecycle.api_keys)
