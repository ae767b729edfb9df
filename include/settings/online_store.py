"""`FLIGHTDECK_ONLINE_STORE`: the address of an online store, translated to the `online_store` of
Feast's configuration.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

VALID = (
    "valid are sqlite, redis://[[user]:password@]host[:port][/number] (rediss:// with TLS) and"
    " postgresql://user:password@host[:port]/database[?sslmode=require]; write what is no letter or"
    " digit in a password as %XX"
)
# Bounds Feast's own reading and writing, which moves many rows at once; a look-up has its own
# limits.
REDIS_SECONDS = 10
REDIS_PORT, POSTGRES_PORT = 6379, 5432
POSTGRES_OPTIONS = {
    "sslmode": "sslmode",
    "sslrootcert": "sslrootcert_path",
    "sslcert": "sslcert_path",
    "sslkey": "sslkey_path",
    "schema": "db_schema",
}


def online_store_config(address: str, folder: Path) -> dict[str, Any]:
    """What Feast's `RepoConfig` takes as `online_store`; `folder` is where SQLite's file lies.

    Raises `ValueError` saying what is valid; its text holds no part of the address that could be a
    password.
    """
    if address == "sqlite":
        return {"type": "sqlite", "path": str(folder / "online.db")}
    try:
        parts = urlsplit(address)
        host, port, readable = parts.hostname or "", parts.port, not re.search(r'[\s"\\]', address)
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(f"it cannot be read as an address; {VALID}")
    if parts.scheme not in ("redis", "rediss", "postgresql"):
        raise ValueError(
            f"its kind {parts.scheme!r} is not known; {VALID}"
            if "://" in address
            else f"it is no kind of store; {VALID}"
        )
    if not host or ":" in host or parts.fragment:
        raise ValueError(f"it lacks a host (by name or IPv4 address); {VALID}")
    return (
        _postgres(parts, host, port) if parts.scheme == "postgresql" else _redis(parts, host, port)
    )


def masked(address: str) -> str:
    """The address without what may be a password; any other text as it is."""
    scheme, separator, rest = address.partition("://")
    if not separator or re.match(r"[^:/?#@]*(:\d+)?([/?][^@]*)?$", rest):
        return address
    return f"{scheme}://***" + (f"@{rest.rpartition('@')[2]}" if "@" in rest else "")


def _redis(parts: SplitResult, host: str, port: int | None) -> dict[str, Any]:
    number = parts.path.strip("/") or "0"
    if not number.isdecimal() or parts.query:
        raise ValueError(
            f"after its host there may be the number of a database and nothing else; {VALID}"
        )
    options: dict[str, Any] = {
        "db": int(number),
        "socket_timeout": REDIS_SECONDS,
        "socket_connect_timeout": REDIS_SECONDS,
    }
    if parts.username:
        options["username"] = unquote(parts.username)
    if parts.password:
        options["password"] = unquote(parts.password)
    if parts.scheme == "rediss":
        options["ssl"] = True
    # Feast splits at commas and reads every value as JSON, so a comma in a password has to be
    # written as JSON can.
    written = [
        f"{name}={json.dumps(value).replace(',', chr(92) + 'u002c')}"
        for name, value in options.items()
    ]
    return {
        "type": "redis",
        "connection_string": ",".join([f"{host}:{port or REDIS_PORT}", *written]),
    }


def _postgres(parts: SplitResult, host: str, port: int | None) -> dict[str, Any]:
    database = unquote(parts.path.removeprefix("/"))
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not database or not parts.username:
        raise ValueError(f"PostgreSQL needs a user and a database; {VALID}")
    if unknown := sorted(set(options) - set(POSTGRES_OPTIONS)):
        raise ValueError(
            f"its options {unknown} are not known, there are {sorted(POSTGRES_OPTIONS)}; {VALID}"
        )
    return {
        "type": "postgres",
        "host": host,
        "port": port or POSTGRES_PORT,
        "database": database,
        "user": unquote(parts.username),
        "password": unquote(parts.password or ""),
        # What PostgreSQL's own clients do; Feast would refuse a server without TLS.
        "sslmode": "prefer",
        **{POSTGRES_OPTIONS[name]: value for name, value in options.items()},
    }
