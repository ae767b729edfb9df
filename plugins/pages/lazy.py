"""A page that is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any


class LazyPage:
    """An ASGI application made at its first request.

    Every process of Airflow loads the plugin, the workers of tasks among them; only the API server
    answers HTTP.

    :param factory: `"module:function"` that makes the application.
    """

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._application: Callable[[Any, Any, Any], Awaitable[None]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Hand the request on."""
        if self._application is None:
            module, _, function = self._factory.partition(":")
            self._application = getattr(import_module(module), function)()
        await self._application(scope, receive, send)
