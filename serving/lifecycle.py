"""The lifecycle of a serving process is the same whichever server runs it.

`serving.asgi` lives it under uvicorn, `serving.service` under BentoML: `start` before the event
loop takes requests, `listen` in it, `stop` when the server takes no more requests over HTTP.
"""

from __future__ import annotations

import asyncio

from include.model.lean_xgboost import import_lean
from include.settings import Settings
from serving.contract.api_keys import open_api_keys
from serving.engine.runtime import Runtime, RuntimeHolder
from serving.grpc.server import GrpcServer
from serving.parent_watch import end_with_parent

OPENING_SECONDS = 30.0
"""How long a process that starts may keep others waiting for it: they answer meanwhile."""


class Lifecycle:
    """The runtime of a process and what ends with it.

    `api_keys` are None where anybody may ask.
    """

    def __init__(self, settings: Settings) -> None:
        self.holder = RuntimeHolder()
        self.api_keys = open_api_keys(settings)
        self._settings = settings
        self._grpc: GrpcServer | None = None

    def start(self) -> None:
        """Start what answers, and end with the supervisor."""
        import_lean()
        runtime = Runtime(self._settings)
        runtime.start()
        self.holder.runtime = runtime
        end_with_parent()

    async def listen(self) -> None:
        """Let requests come, once the models and stores were opened that can be: a worker that is
        started anew takes none from the others that it could not answer.

        Opens the gRPC port, on the event loop that answers HTTP too; raises `ServingError` when it
        is taken.
        """
        runtime = self.holder.runtime
        if runtime is None:
            return
        await asyncio.to_thread(runtime.wait_opened, OPENING_SECONDS)
        if self._settings.grpc_port:
            self._grpc = GrpcServer(runtime, self._settings, self.api_keys)
            await self._grpc.start()

    async def stop(self) -> None:
        """Answer what has come over gRPC and what is pending, then close the log and the stores."""
        if self._grpc is not None:
            await self._grpc.stop()
        runtime, self.holder.runtime = self.holder.runtime, None
        if runtime is not None:
            runtime.stop()

    def not_alive(self) -> str | None:
        """Say why the process must be replaced; None while it can answer."""
        runtime = self.holder.runtime
        if runtime is None or not runtime.alive():
            return "a part of the endpoint has ended"
        return None

    def not_ready(self) -> str | None:
        """Say why nothing can be predicted now; None when something can."""
        runtime = self.holder.runtime
        return "the endpoint is starting" if runtime is None else runtime.not_ready()
