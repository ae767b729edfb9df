"""The gate of API keys over HTTP."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.contract.api_keys import ApiKeys, presented_key
from serving.contract.errors import UnanswerableError
from serving.http.answering import answer_with

FREE = frozenset({"/healthz", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""What load balancers and kubelets ask, without a key."""


class ApiKeyGate:
    """Stands in front of everything that answers over HTTP."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a known caller through; others get 401."""
        if scope["type"] != "http" or scope["path"] in FREE:
            await self._app(scope, receive, send)
            return
        try:
            self._keys.check(presented_key(scope["headers"]))
        except UnanswerableError as error:
            await answer_with(_raised(error), send)
        else:
            await self._app(scope, receive, send)


async def _raised(error: UnanswerableError) -> bytes:
    raise error
