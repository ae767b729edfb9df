"""The endpoint as one ASGI application for any server: our routes, and what BentoML brings of its
own, under the same paths.

`python -m cli serve` runs it under uvicorn. `bentoml serve serving.service:FlightdeckService` runs
the same routes with more around every request (docs/adr/0015-uvicorn-runs-the-endpoint.md).
"""

from __future__ import annotations

import logging
import os
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.settings import load_settings
from serving.contract.api_keys import ApiKeyGate, ApiKeys
from serving.engine.runtime import Runtime
from serving.http.answering import Holder
from serving.http.application import Application
from serving.parent_watch import end_with_parent

if TYPE_CHECKING:
    from serving.grpc.server import GrpcServer

SETTINGS = load_settings()
SHARED_METRICS = os.environ.get("PROMETHEUS_MULTIPROC_DIR")

METRICS_TRIES = 3
METRICS_WAIT_SECONDS = 0.002

logger = logging.getLogger("flightdeck.serving")


class Endpoint:
    """The application, and the life of what stands behind it."""

    def __init__(self) -> None:
        self._holder = Holder()
        self._routes = Application(self._holder)
        self._grpc: GrpcServer | None = None
        self._own = {
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
        own = (
            self._own.get(scope["path"])
            if scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
            else None
        )
        if own is None:
            await self._routes(scope, receive, send)
            return
        status, kind, body = own()
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    async def _live_through(self, receive: Receive, send: Send) -> None:
        await receive()
        answer: Message = {"type": "lifespan.startup.complete"}
        try:
            await self._start()
        except Exception as error:
            logger.exception("the endpoint does not start")
            answer = {"type": "lifespan.startup.failed", "message": repr(error)}
        await send(answer)
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> None:
        runtime = Runtime(SETTINGS)
        runtime.start()
        self._holder.runtime = runtime
        end_with_parent()
        if SETTINGS.grpc_port:
            from serving.grpc.server import GrpcServer

            self._grpc = GrpcServer(runtime, SETTINGS)
            await self._grpc.start()

    async def _stop(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop()
        runtime, self._holder.runtime = self._holder.runtime, None
        if runtime is not None:
            runtime.stop()

    def _live(self) -> tuple[int, str, bytes]:
        runtime = self._holder.runtime
        return _state(
            None if runtime is not None and runtime.alive() else "a part of the endpoint has ended"
        )

    def _ready(self) -> tuple[int, str, bytes]:
        runtime = self._holder.runtime
        return _state("the endpoint is starting" if runtime is None else runtime.not_ready())

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


application: ASGIApp = Endpoint()
if SETTINGS.api_keys_file is not None:
    application = ApiKeyGate(application, keys=ApiKeys(SETTINGS.api_keys_file))
