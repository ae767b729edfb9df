"""Object storage of the S3 kind: the form of its addresses, and how it is reached.

The address is a setting, `s3://bucket/prefix`. Endpoint, region and credentials are the standard
`AWS_*` variables, which everything that speaks S3 understands; what is secret may be the content of
the file that `<variable>_FILE` names. They are read from the environment when they are needed, so
that a secret that was renewed counts, and stand in no setting, command line or log.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from include.errors import SettingsError
from include.settings.references import FILE, resolve

SCHEME = "s3://"
VALID = "valid are the path of a folder and s3://bucket or s3://bucket/prefix"
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"[A-Za-z0-9._=-]+(/[A-Za-z0-9._=-]+)*")
DEFAULT_REGION = "us-east-1"

KEY_ID, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"  # names
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
BY_FILE = tuple(f"{name}{FILE}" for name in (KEY_ID, SECRET, TOKEN))
OTHER_IDENTITIES = (
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""Variables by which a machine or a pod has an account without a key of its own."""
READ = (*ENDPOINTS, *REGIONS, KEY_ID, SECRET, TOKEN, *BY_FILE)
STANDARD = frozenset(
    {
        *READ,
        *OTHER_IDENTITIES,
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_DEFAULT_PROFILE",
        "AWS_DEFAULT_OUTPUT",
        "AWS_CA_BUNDLE",
        "AWS_SECURITY_TOKEN",
        "AWS_ALLOW_HTTP",
        "AWS_ACCOUNT_ID",
        "AWS_ENDPOINT_URL_STS",
    }
)
LOOKS_LIKE = 0.78
"""How alike a variable is to one that is read so that it is taken for a slip of it."""


@dataclass(frozen=True)
class Location:
    """A place in object storage; `prefix` has no slash at its ends."""

    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """The key of what has that name below the place."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True)
class Access:
    """How object storage is reached; without a key the machine's own account is used."""

    endpoint: str | None
    region: str
    key_id: str | None
    secret: str | None = field(repr=False, default=None)
    token: str | None = field(repr=False, default=None)

    def variables(self) -> dict[str, str]:
        """The same as plain `AWS_*` variables, for a library or a child process."""
        values = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            KEY_ID: self.key_id,
            SECRET: self.secret,
            TOKEN: self.token,
        }
        return {name: value for name, value in values.items() if value is not None}


def is_remote(uri: str) -> bool:
    """Whether an address leads to object storage, and not to a folder."""
    return "://" in uri and not uri.startswith("file://")


def location(uri: str) -> Location:
    """The place that an address names; raises `ValueError` saying what is valid."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise ValueError(f"it is no address of object storage; {VALID}")
    if scheme != "s3":
        meant = "; did you mean s3://?" if scheme in ("s3a", "s3n", "S3") else ""
        raise ValueError(f"its kind {scheme!r} is not known{meant}; {VALID}")
    bucket, _, prefix = rest.rstrip("/").partition("/")
    if not BUCKET.fullmatch(bucket):
        raise ValueError(
            f"{bucket!r} is no name of a bucket: 3 to 63 small letters, digits, dots and hyphens;"
            f" {VALID}"
        )
    if prefix and not PREFIX.fullmatch(prefix):
        raise ValueError(
            f"the prefix {prefix!r} holds other signs than letters, digits and ._=- between single"
            f" slashes, which not all that reads it writes alike; {VALID}"
        )
    return Location(bucket, prefix)


def access(environ: Mapping[str, str] | None = None) -> Access:
    """How object storage is reached from this environment.

    Raises `SettingsError` naming the variable and what is valid, never what it holds.
    """
    variables = os.environ if environ is None else environ
    for problem in problems(variables):
        raise SettingsError(problem)
    return Access(
        endpoint=_first(variables, ENDPOINTS),
        region=_first(variables, REGIONS) or DEFAULT_REGION,
        key_id=resolve(variables, KEY_ID, secret=True),
        secret=resolve(variables, SECRET, secret=True),
        token=resolve(variables, TOKEN, secret=True),
    )


def problems(variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each variable of object storage that is wrong, or missing beside others."""
    yield from _misspelt(variables)
    for name in (KEY_ID, SECRET, TOKEN):
        try:
            resolve(variables, name, secret=True)
        except SettingsError as error:
            yield str(error)
    endpoint = _first(variables, ENDPOINTS)
    if endpoint is not None and not _is_endpoint(endpoint):
        name = next(name for name in ENDPOINTS if variables.get(name))
        yield (
            f"{name} is no address of an S3 endpoint; write http://host:port or https://host, with"
            " no bucket, user or password in it."
        )
    key, secret = (
        any(variables.get(each) for each in (name, f"{name}{FILE}")) for name in (KEY_ID, SECRET)
    )
    if key != secret:
        there, missing = (KEY_ID, SECRET) if key else (SECRET, KEY_ID)
        yield (
            f"{there} is set and {missing} is not; a key is both. Set {missing} or"
            f" {missing}{FILE}, the file that holds it."
        )
    if endpoint is None and _first(variables, REGIONS) is None:
        yield (
            "Neither AWS_REGION nor AWS_ENDPOINT_URL is set: object storage is in a region of AWS,"
            " for example AWS_REGION=eu-central-1, or behind an endpoint, for example"
            " AWS_ENDPOINT_URL=http://127.0.0.1:8333."
        )
    if endpoint is not None and not key and not _has_identity(variables):
        yield (
            f"AWS_ENDPOINT_URL is set, and nothing says who asks there. Set {KEY_ID} and {SECRET},"
            f" or {SECRET}{FILE}, the file that holds it."
        )


def _misspelt(variables: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(variables):
        if not name.startswith("AWS_") or name in STANDARD:
            continue
        near = difflib.get_close_matches(name, READ, n=1, cutoff=LOOKS_LIKE)
        if near:
            yield (
                f"{name} is read by nothing here. Did you mean {near[0]}? Unset it, or choose of"
                f" {', '.join(READ)}."
            )


def _is_endpoint(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and parts.username is None
            and parts.path in ("", "/")
            and not parts.query
        )
    except ValueError:
        return False


def _has_identity(variables: Mapping[str, str]) -> bool:
    home = variables.get("HOME", "")
    return any(variables.get(name) for name in OTHER_IDENTITIES) or (
        bool(home) and (Path(home) / ".aws" / "credentials").is_file()
    )


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := variables.get(name))), None)
