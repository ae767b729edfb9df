"""The protocol adds to uvicorn's: a connection that does not end its headers is closed, and every
refusal is JSON.

uvicorn waits for the headers of a request for as long as its client likes, and keeps whatever
comes. Here they have `HEADER_SECONDS` and `HEADER_BYTES`; bodies are bounded where they are read
(`serving.contract.body`). And an answer's head and body, which uvicorn sends one after the other,
leave with one system call: a tenth of the server's time for a prediction.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from serving.contract.errors import RequestError, UnreadableError

HEADER_SECONDS = 10.0
HEADER_BYTES = 65_536
PLAIN_HEADERS = frozenset((b"content-type", b"date", b"retry-after", b"server"))
"""What the endpoint's own code sets, from no input: nothing in them needs uvicorn's checks."""


class JoinedCycle(RequestResponseCycle):
    """One request and its answer.

    What is no short, plain answer goes uvicorn's own way, head first.
    """

    _head: Any = None

    async def send(self, message: Any) -> None:
        """Keep the head until the body is there, then send both."""
        if message["type"] == "http.response.start" and not self.response_started:
            self._head = message
            return
        if self._head is None:
            await super().send(message)
            return
        head, self._head = self._head, None
        content = self._joined(head, message)
        if content is None:
            await super().send(head)
            await super().send(message)
            return
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        self.transport.write(content)
        self.message_event.set()
        self.on_response()

    def _joined(self, head: Any, message: Any) -> bytes | None:
        """Return the whole answer; None where it is not ours to write: in pieces, of no length, to
        HEAD, to a connection that is to end.
        """
        if (
            message["type"] != "http.response.body"
            or message.get("more_body")
            or not self.keep_alive
            or self.disconnected
            or self.flow.write_paused
            or self.scope["method"] == "HEAD"
        ):
            return None
        body = message.get("body", b"")
        parts, length = [STATUS_LINE[head["status"]]], -1
        for name, value in (*self.default_headers, *head.get("headers", ())):
            if name == b"content-length":
                length = int(value)
            elif name not in PLAIN_HEADERS:
                return None
            parts += (name, b": ", value, b"\r\n")
        if length != len(body):
            return None
        return b"".join((*parts, b"\r\n", body))


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
        """Parse what has come; headers that are not complete with it have a deadline and a largest
        size.
        """
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
        self.cycle.__class__ = JoinedCycle

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
        head = (
            b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            % len(body)
        )
        self.transport.write(STATUS_LINE[error.status] + head + body)
        self.transport.close()
