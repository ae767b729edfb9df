"""API keys say who may ask, by SHA-256 of keys that the endpoint itself never holds.

`FLIGHTDECK_API_KEYS_FILE` names a file with one line `<name> <sha256 of the key, hexadecimal>` per
caller; `flightdeck api-key NAME` makes a key, shows it once and adds its line. A key is 32
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

from include.errors import SettingsError
from include.settings import Settings
from serving.contract.errors import UnanswerableError

LINE = re.compile(r"([A-Za-z0-9._-]{1,64}) ([0-9a-f]{64})")
LOOK_SECONDS = 1.0

logger = logging.getLogger("flightdeck.serving")


@dataclass(frozen=True)
class ApiKey:
    """One caller's key."""

    name: str
    digest: bytes


class ApiKeys:
    """The keys of a file, as it is now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: list[ApiKey] = []
        self._look_at = 0.0
        try:
            self._read()
        except OSError as error:
            text = (
                f"FLIGHTDECK_API_KEYS_FILE is {path}, which cannot be read: {error}."
                " `.venv/bin/flightdeck api-key NAME` makes it."
            )
            raise SettingsError(text) from error

    def check(self, presented: bytes | None) -> str:
        """Return the caller's name; raise `UnanswerableError` (401) saying how to present a key."""
        if time.monotonic() >= self._look_at:
            self._refresh()
        if presented is not None:
            digest = hashlib.sha256(presented).digest()
            # Every line is compared, each in constant time: the time of an answer tells nothing
            # about the keys.
            names = [key.name for key in self._keys if hmac.compare_digest(key.digest, digest)]
            if names:
                return names[0]
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
            self._keys = []
            logger.exception("nobody is let in: the file of API keys cannot be read")

    def _read(self) -> None:
        status = self._path.stat()
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if stamp != self._stamp:
            self._keys = parse_keys(self._path.read_text(encoding="utf-8"), self._path)
            self._stamp = stamp


def open_api_keys(settings: Settings) -> ApiKeys | None:
    """Read the keys that the settings name; None where they name no file and anybody may ask."""
    return None if settings.api_keys_file is None else ApiKeys(settings.api_keys_file)


def parse_keys(text: str, path: Path) -> list[ApiKey]:
    """Read the file's lines; empty ones and those after # are left out.

    Raises `SettingsError` naming the first wrong line.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = LINE.fullmatch(line.strip())
        if parts is None:
            raise SettingsError(
                f"{path}, line {number}: must be `<name> <sha256>`, as"
                " `.venv/bin/flightdeck api-key NAME`"
                " writes it."
            )
        keys.append(ApiKey(parts[1], bytes.fromhex(parts[2])))
    return keys


def presented_key(headers: Iterable[tuple[bytes | str, bytes | str]]) -> bytes | None:
    """Return the key in `Authorization: Bearer` or `X-API-Key`, from HTTP headers or gRPC metadata
    (lower-case names).
    """
    for name, value in headers:
        if _bytes(name) == b"x-api-key":
            return _bytes(value).strip()
        if _bytes(name) == b"authorization" and _bytes(value)[:7].lower() == b"bearer ":
            return _bytes(value)[7:].strip()
    return None


def _bytes(part: bytes | str) -> bytes:
    return part.encode("utf-8", "replace") if isinstance(part, str) else part
