"""Variables that are no settings, and settings that are valid each by itself and cannot be
together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from include.settings.environments import ENVIRONMENTS, Service
from include.settings.object_storage import is_remote, problems
from include.settings.references import FILE, SECRET
from include.settings.services import contradictions_of_services

if TYPE_CHECKING:
    from include.settings import Settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


PREFIX = "FLIGHTDECK_"
PICKLES = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
NO_SETTINGS = frozenset({"ENV", "FEATURE_STORE_DIR", "PASSWORD", "PLATFORM_ID"})
"""Variables that are read elsewhere (docs/settings.md)."""
WHAT_FOR = {
    "users": "the users of Airflow and MLflow as name:role,... . The users of a trial have names"
    " that everybody knows, and people share them",
    "api_keys_file": "the file with the hashes of API keys (`flightdeck api-key`): without it the"
    " endpoint answers whoever asks",
    "api_key_file": "the file with the key that this process sends to the endpoint",
    "alarm_sinks": "the file that says who is told of alarms (docs/alarms.md)",
}
NEEDED_BY: Mapping[str, frozenset[Service]] = MappingProxyType(
    {
        "users": frozenset({"airflow", "mlflow"}),
        "api_keys_file": frozenset({"serving"}),
        "api_key_file": frozenset({"airflow"}),
        "alarm_sinks": frozenset({"airflow"}),
    }
)
"""The services whose hosts must have a setting that an environment requires."""


def unknown_variables(variables: Mapping[str, str], fields: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each `FLIGHTDECK_*` variable that nothing reads."""
    secret = {
        f"{name.upper()}{suffix}"
        for name, field in fields.items()
        for suffix in (FILE, SECRET)
        if not field.repr
    }
    readable = {*NO_SETTINGS, *secret, *(name.upper() for name in fields if name != "environment")}
    for variable in sorted(variables):
        name = variable.removeprefix(PREFIX)
        if not variable.startswith(PREFIX) or name in readable:
            continue
        near = difflib.get_close_matches(name, sorted(readable), n=1)
        meant = f" Did you mean {PREFIX}{near[0]}?" if near else ""
        valid = ", ".join(f"{PREFIX}{field}" for field in sorted(readable))
        yield f"{variable} is no setting of Flightdeck.{meant} Unset it, or choose of {valid}."


def contradictions(settings: Settings, variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each: the variables, why they cannot be, and what is valid."""
    yield from _of_defaults(settings, variables)
    yield from contradictions_of_services(settings, variables)
    shared = (settings.models_uri, settings.mlflow_artifacts, settings.reports_uri)
    places = (settings.tables_uri, *shared)
    if any(place is not None and is_remote(place) for place in places):
        yield from problems(variables)
    if settings.target == "pods":
        yield from _of_pods(settings)
    if settings.evidently_port and settings.host not in LOOPBACK:
        yield (
            f"{PREFIX}EVIDENTLY_PORT is {settings.evidently_port}, and {PREFIX}HOST is"
            f" {settings.host}: Evidently's UI shows values of the data to whoever reaches it, and"
            f" knows no accounts. Unset it, or listen on 127.0.0.1 alone; the same reports are in"
            " Airflow, which asks who reads them."
        )


def _of_defaults(settings: Settings, variables: Mapping[str, str]) -> Iterator[str]:
    """What is convenient for a trial, and open to everybody."""
    name = settings.environment
    environment = ENVIRONMENTS[name]
    for field in environment.required:
        if settings.runs & NEEDED_BY[field] and not getattr(settings, field):
            yield (
                f"{PREFIX}{field.upper()} is not set, and {name} starts on no default of it: it is"
                f" {WHAT_FOR[field]}."
            )
    if environment.refuses_open_mlflow and settings.mlflow_access == "open":
        yield (
            f"{PREFIX}MLFLOW_ACCESS is open, and {name} lets nobody register versions, move aliases"
            " or read runs who has not signed in. Unset it, or set it to accounts."
        )
    if not environment.refuses_defaults:
        return
    if variables.get(PICKLES, "false").lower() not in ("false", "0", "no"):
        yield (
            f"{PICKLES} is {variables[PICKLES]!r}, and {name} loads no pickle, which runs whatever"
            " code is in it. Unset it."
        )
    if not settings.runs & {"airflow", "serving"}:
        return
    if not any((settings.keys_dir / key).is_file() for key in ("signing.pem", "signing.pub.pem")):
        yield (
            f"{settings.keys_dir} holds no key for the signatures of models, and {name} makes none"
            " up: whoever makes one up trusts what it signed itself. Put signing.pub.pem there, and"
            " signing.pem where models are trained (docs/environments.md)."
        )


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
