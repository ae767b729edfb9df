"""Receivers of alarms that really listen: an SMTP server and a webhook."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Mailbox:
    """What an SMTP server has taken: the recipients and the message of each mail."""

    port: int = 0
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for _, mail in self.mails]


@dataclass
class Hook:
    """What a webhook was sent, and what it answers."""

    port: int = 0
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        return [body["title"] for body in self.bodies]


class MailServer(socketserver.ThreadingTCPServer):
    """A server that lays every mail into its box."""

    def __init__(self, port: int, box: Mailbox) -> None:
        super().__init__(("127.0.0.1", port), Session)
        self.box = box
        box.port = self.server_address[1]


class Session(socketserver.StreamRequestHandler):
    """As much of SMTP as a sender needs."""

    server: MailServer

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self) -> None:
        self.say("220 test")
        recipients: list[str] = []
        while line := self.rfile.readline():
            word = line.decode().strip()
            if word.upper().startswith("RCPT TO:"):
                recipients.append(word.partition("<")[2].partition(">")[0])
            if word.upper() == "DATA":
                self.say("354 go on")
                self.server.box.mails.append((recipients, self.mail()))
                recipients = []
            if word.upper() == "QUIT":
                self.say("221 bye")
                return
            self.say("250 ok")

    def mail(self) -> EmailMessage:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return message_from_bytes(b"".join(lines), policy=policy.default)


@contextmanager
def mail_server(port: int = 0) -> Iterator[Mailbox]:
    """An SMTP server on the loopback; it takes every mail."""
    box = Mailbox()
    with MailServer(port, box) as server, _serving(server):
        yield box


@contextmanager
def webhook(port: int = 0) -> Iterator[Hook]:
    """An HTTP server on the loopback that answers every POST with its status."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if hook.status < 400:
                hook.bodies.append(body)
                hook.headers.append(dict(self.headers))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        hook.port = server.server_address[1]
        with _serving(server):
            yield hook


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(10)
