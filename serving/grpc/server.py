"""The Open Inference Protocol over gRPC: a server of its own port in the serving process, on the
same event loop and the same batcher.

A refusal's status code follows from its HTTP status; its text is the message, and the trailing
metadata hold `code` and `field`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc

from include.errors import ServingError
from include.settings import Settings
from serving.contract.api_keys import ApiKeys, presented_key
from serving.contract.body import MAX_BODY_BYTES
from serving.contract.errors import RequestError
from serving.contract.refusals import answer_or_refusal, refuse
from serving.engine.runtime import Runtime
from serving.grpc import open_inference_pb2 as messages
from serving.grpc.messages import read_request, write_answer
from serving.oip.answering import SERVER, Models

SERVICE = "inference.GRPCInferenceService"
FREE = ("ServerLive", "ServerReady")
STOP_SECONDS = 5.0
CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}

logger = logging.getLogger("flightdeck.serving")


class GrpcServer:
    """Start and stop it on the event loop that the runtime answers on."""

    def __init__(self, runtime: Runtime, settings: Settings, keys: ApiKeys | None) -> None:
        self._address = f"{settings.host}:{settings.grpc_port}"
        self._server = grpc.aio.server(
            # As many bytes as over REST; several workers of one endpoint share the port.
            options=[("grpc.max_receive_message_length", MAX_BODY_BYTES), ("grpc.so_reuseport", 1)],
        )
        self._server.add_generic_rpc_handlers((_handlers(Service(Models(runtime)), keys),))

    async def start(self) -> None:
        """Listen; raises `ServingError` when the port is taken."""
        try:
            self._server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ServingError(
                f"gRPC cannot listen on {self._address}: {error}. Choose another"
                " FLIGHTDECK_GRPC_PORT, or 0."
            ) from error
        await self._server.start()
        logger.info("gRPC on %s", self._address)

    async def stop(self) -> None:
        """Answer what was asked, then close."""
        await self._server.stop(STOP_SECONDS)


class Service:
    """The protocol's six procedures."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def server_live(self, _: Any) -> Any:
        """Say whether the process answers at all."""
        return messages.ServerLiveResponse(live=self._models.runtime.alive())

    async def server_ready(self, _: Any) -> Any:
        """Say whether any model can be asked."""
        return messages.ServerReadyResponse(ready=self._models.server_ready())

    async def model_ready(self, request: Any) -> Any:
        """Say whether one model can be asked."""
        return messages.ModelReadyResponse(
            ready=self._models.ready(self._models.select(request.name, request.version))
        )

    async def server_metadata(self, _: Any) -> Any:
        """Name and extensions."""
        return messages.ServerMetadataResponse(name=SERVER["name"], version=SERVER["version"])

    async def model_metadata(self, request: Any) -> Any:
        """Return the tensors of one model."""
        model = self._models.select(request.name, request.version)
        return messages.ModelMetadataResponse(**model.metadata(self._models.versions(model)))

    async def model_infer(self, request: Any) -> Any:
        """Predictions."""
        answer = await self._models.infer(
            request.model_name, request.model_version, read_request(request)
        )
        return write_answer(answer)


def _handlers(service: Service, keys: ApiKeys | None) -> grpc.GenericRpcHandler:
    procedures: dict[str, tuple[Callable[[Any], Awaitable[Any]], Any, Any]] = {
        "ServerLive": (
            service.server_live,
            messages.ServerLiveRequest,
            messages.ServerLiveResponse,
        ),
        "ServerReady": (
            service.server_ready,
            messages.ServerReadyRequest,
            messages.ServerReadyResponse,
        ),
        "ModelReady": (
            service.model_ready,
            messages.ModelReadyRequest,
            messages.ModelReadyResponse,
        ),
        "ServerMetadata": (
            service.server_metadata,
            messages.ServerMetadataRequest,
            messages.ServerMetadataResponse,
        ),
        "ModelMetadata": (
            service.model_metadata,
            messages.ModelMetadataRequest,
            messages.ModelMetadataResponse,
        ),
        "ModelInfer": (
            service.model_infer,
            messages.ModelInferRequest,
            messages.ModelInferResponse,
        ),
    }
    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            name: grpc.unary_unary_rpc_method_handler(
                partial(_answered, procedure, None if name in FREE else keys),
                request_deserializer=request.FromString,
                response_serializer=answer.SerializeToString,
            )
            for name, (procedure, request, answer) in procedures.items()
        },
    )


async def _answered(
    procedure: Callable[[Any], Awaitable[Any]], keys: ApiKeys | None, request: Any, context: Any
) -> Any:
    outcome = await answer_or_refusal(_admitted(procedure, keys, request, context))
    if isinstance(outcome, RequestError):
        await _abort(outcome, context)
        return None
    return outcome


async def _admitted(
    procedure: Callable[[Any], Awaitable[Any]], keys: ApiKeys | None, request: Any, context: Any
) -> Any:
    if keys is not None:
        keys.check(presented_key(context.invocation_metadata() or ()))
    return await procedure(request)


async def _abort(refusal: RequestError, context: Any) -> None:
    refuse(refusal)
    valid = f" Valid: {', '.join(refusal.valid)}." if refusal.valid else ""
    trailing = [
        ("code", refusal.code),
        ("field", (refusal.field or "").encode("ascii", "backslashreplace").decode()),
    ]
    if refusal.retry_after is not None:
        trailing.append(("retry-after", str(refusal.retry_after)))
    await context.abort(
        CODES.get(refusal.status, grpc.StatusCode.INVALID_ARGUMENT),
        refusal.message[:500] + valid,
        tuple(trailing),
    )
