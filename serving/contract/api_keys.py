"""Optional API keys: who may ask, by SHA-256 of keys that the endpoint itself never holds.

`FLIGHTDECK_API_KEYS_FILE` names a file with one line `<name> <sha256 of the key, hexadecimal>` per
caller; `python -m cli api-key NAME` makes a key, shows it once and adds its line. A key is 32
random bytes, so that its hash needs no salt. The file is read again when it changes: a line that is
taken out refuses its key within seconds. No file is no check; a file without a valid line refuses
everybody.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from include.errors import SettingsError
from serving.contract.errors import UnanswerableError
from serving.http.answering import answer_with

LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) ([0-9a-f]{64})")
FREE = frozenset({"/healthz", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"})
"""What load balancers and kubelets ask, without a key."""
LOOK_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


@dataclass(frozen=True)
class KnownKey:
    """One caller's key."""

    name: str
    digest: bytes


class ApiKeys:
    """The keys of a file, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._known: list[KnownKey] = []
        self._look_at = 0.0
        try:
            self._read()
        except OSError as error:
            text = (
                f"FLIGHTDECK_API_KEYS_FILE is {path}, which cannot be read: {error}. `python -m cli"
                " api-key NAME` makes it."
            )
            raise SettingsError(text) from error

    def check(self, presented: bytes | None) -> str:
        """The caller's name; raises `UnanswerableError` (401) saying how to present a key."""
        if time.monotonic() >= self._look_at:
            self._refresh()
        if presented is not None:
            digest = hashlib.sha256(presented).digest()
            # Every line is compared, each in constant time: the time of an answer tells nothing
            # about the keys.
            found = [
                known.name for known in self._known if hmac.compare_digest(known.digest, digest)
            ]
            if found:
                return found[0]
        text = (
            "This endpoint asks for an API key, and the one given is not known."
            if presented
            else "This endpoint asks for an API key."
        )
        raise UnanswerableError(
            401,
            "unauthorized",
            text,
            "authorization",
            ["Authorization: Bearer <key>", "X-API-Key: <key>"],
        )

    def _refresh(self) -> None:
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            self._read()
        except (OSError, SettingsError):
            # Fail closed: nobody knows whose key the file would have refused.
            self._known = []
            logger.exception("nobody is let in: the file of API keys cannot be read")

    def _read(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            self._known = parse_keys(self._path.read_text(encoding="utf-8"), self._path)
            self._stamp = stamp


def parse_keys(text: str, path: Path) -> list[KnownKey]:
    """The file's lines; empty ones and those after # are left out.

    Raises `SettingsError` naming the first wrong line.
    """
    known = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise SettingsError(
                f"{path}, line {number}: must be `<name> <sha256>`, as `python -m cli api-key NAME`"
                " writes it."
            )
        known.append(KnownKey(found[1], bytes.fromhex(found[2])))
    return known


def presented_key(headers: Iterable[tuple[bytes | str, bytes | str]]) -> bytes | None:
    """The key in `Authorization:

    Bearer` or `X-API-Key`, from HTTP headers or gRPC metadata (lower-case names).
    """
    for name, value in headers:
        if _bytes(name) == b"x-api-key":
            return _bytes(value).strip()
        if _bytes(name) == b"authorization" and _bytes(value)[:7].lower() == b"bearer ":
            return _bytes(value)[7:].strip()
    return None


def _bytes(part: bytes | str) -> bytes:
    return part.encode("utf-8", "replace") if isinstance(part, str) else part


class ApiKeyGate:
    """In front of everything that answers over HTTP."""

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
