"""What our server adds to uvicorn's HTTP protocol: a connection that does not end its headers is closed, and every refusal is JSON.

uvicorn waits for the headers of a request for as long as its client likes, and keeps whatever comes. Here they have `HEADER_SECONDS` and
`HEADER_BYTES`; bodies are bounded where they are read (`serving.body`).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.errors import RequestError, UnreadableError

HEADER_SECONDS = 10.0
HEADER_BYTES = 65_536


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    _in_headers = True
    _header_bytes = 0
    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._got_headers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come; headers that are not complete with it have a deadline and a largest size."""
        super().data_received(data)
        if self._in_headers and not self.transport.is_closing():
            self._header_bytes += len(data)
            if self._header_bytes > HEADER_BYTES:
                text = f"The request's headers are larger than {HEADER_BYTES} bytes."
                self._refuse(UnreadableError(431, "headers_too_large", text))
            elif self._headers_due is None:
                self._expect_headers()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its headers are there."""
        self._in_headers = False
        if self._headers_due is not None:
            self._got_headers()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        self._refuse(UnreadableError(400, "malformed_http", f"{msg.rstrip('.')}."))

    def _expect_headers(self) -> None:
        self._headers_due = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _got_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _too_slow(self) -> None:
        self._headers_due = None
        if self._header_bytes == 0:
            self.transport.close()
        elif not self.transport.is_closing():
            text = f"The request's headers did not arrive within {HEADER_SECONDS:g} seconds."
            self._refuse(UnreadableError(408, "headers_too_slow", text))

    def _refuse(self, error: RequestError) -> None:
        """Answer by hand, as there is no request that the application could answer, and close."""
        body = error.body()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()
