"""Settings that are valid each by itself, and cannot be together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from include.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def contradictions(settings: Settings) -> Iterator[str]:
    """A sentence for each: the variables, why they cannot be, and what is valid."""
    if settings.target == "pods":
        yield from _of_pods(settings)


def _of_pods(settings: Settings) -> Iterator[str]:
    """A pod has its own loopback, and shares no file of SQLite with other pods."""
    if settings.pods_file is None:
        yield (
            "FLIGHTDECK_TARGET is pods, and FLIGHTDECK_PODS_FILE is not set: it is the TOML file"
            " that says which image, namespace and resources they have (docs/pods.md). Set it, or"
            " FLIGHTDECK_TARGET=process."
        )
    for field in ("mlflow_tracking_uri", "serving_url"):
        host = urlsplit(getattr(settings, field)).hostname
        if host in LOOPBACK:
            yield (
                f"FLIGHTDECK_TARGET is pods, and FLIGHTDECK_{field.upper()} leads to {host}, which"
                " in a pod is the pod itself. Set it to the service's address in the cluster, for"
                " example http://mlflow.flightdeck:5000."
            )
    if settings.ledger_url is None or settings.ledger_url.startswith("sqlite"):
        yield (
            "FLIGHTDECK_TARGET is pods, and FLIGHTDECK_LEDGER_URL is no server's: a file of SQLite"
            " cannot be shared by pods of several nodes. Set it to"
            " postgresql://user:password@host/database."
        )
    if settings.online_store in (None, "sqlite"):
        yield (
            "FLIGHTDECK_TARGET is pods, and FLIGHTDECK_ONLINE_STORE is no server's: a file of"
            " SQLite cannot be shared by pods of several nodes. Set it to the address of a Redis or"
            " a PostgreSQL."
        )
