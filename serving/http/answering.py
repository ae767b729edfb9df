"""What all routes share: how they reach the runtime, and how an outcome becomes one JSON document."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping

from starlette.responses import Response
from starlette.types import Send

from serving.contract.body import DisconnectedError
from serving.contract.errors import RequestError, UnanswerableError
from serving.contract.metrics import REFUSALS
from serving.engine.runtime import Runtime

logger = logging.getLogger("flightdeck.serving")


class Holder:
    """Gives the routes the runtime, which only exists once the serving process has started."""

    runtime: Runtime | None = None

    def get(self) -> Runtime:
        """The runtime; raises `UnanswerableError` while the process is starting."""
        if self.runtime is None:
            raise UnanswerableError(503, "starting", "The endpoint is starting.")
        return self.runtime


async def answer_with(work: Awaitable[bytes], send: Send) -> None:
    """Send the JSON that `work` gives, or the refusal that it raises; nothing to a client that has
    gone.
    """
    try:
        status, body = 200, await work
    except DisconnectedError:
        return
    except RequestError as error:
        body, status = refuse(error)
    except Exception as error:
        logger.exception("a request failed unexpectedly")
        body, status = refuse(internal(error))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 429:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def json_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The same for the routes of Starlette."""
    more = {"Retry-After": "1"} if status == 429 else {}
    return Response(
        body, status, media_type="application/json", headers={**more, **(headers or {})}
    )


def refuse(error: RequestError) -> tuple[bytes, int]:
    """Body and status of a refusal, counted."""
    REFUSALS.labels(str(error.status), error.code).inc()
    return error.body(), error.status


def internal(error: Exception) -> RequestError:
    """The refusal for a defect of ours."""
    return RequestError(
        500, "internal", f"The endpoint failed ({type(error).__name__}); its log says why."
    )
