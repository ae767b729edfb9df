"""How an outcome becomes one JSON document over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from starlette.responses import Response
from starlette.types import Send

from serving.contract.body import DisconnectedError
from serving.contract.errors import RequestError
from serving.contract.refusals import answer_or_refusal, refuse


async def answer_with(work: Awaitable[bytes], send: Send) -> None:
    """Send the JSON that `work` gives, or the refusal that it raises; nothing to a client that has
    gone.
    """
    try:
        outcome = await answer_or_refusal(work)
    except DisconnectedError:
        return
    body, status = refuse(outcome) if isinstance(outcome, RequestError) else (outcome, 200)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if isinstance(outcome, RequestError) and outcome.retry_after is not None:
        headers.append((b"retry-after", str(outcome.retry_after).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def json_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Make the same of a route of Starlette."""
    return Response(body, status, media_type="application/json", headers=dict(headers or {}))


def refused_response(error: RequestError, body: bytes, status: int) -> Response:
    """Make one of a refusal: with when to come back, where that is said."""
    after = error.retry_after
    return json_response(body, status, None if after is None else {"Retry-After": str(after)})
