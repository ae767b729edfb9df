"""`FLIGHTDECK_SERVICES`: which services of a platform run on this host, and where the others are.

A platform is one host with all of them, or several with a part each, of which every one has a home
of its own. What a service here needs of one elsewhere must then have an address.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from include.settings.environments import Service
from include.settings.object_storage import is_remote

if TYPE_CHECKING:
    from include.settings import Settings

PREFIX = "FLIGHTDECK_"
VARIABLE = f"{PREFIX}SERVICES"
SERVICES: tuple[Service, ...] = get_args(Service)
ADDRESSES: Mapping[Service, str] = MappingProxyType(
    {"airflow": "airflow_url", "mlflow": "mlflow_tracking_uri", "serving": "serving_url"}
)
"""The setting with each service's address; Evidently's UI is asked by people alone."""
ASKS: Mapping[Service, tuple[Service, ...]] = MappingProxyType({"airflow": ("mlflow", "serving")})
"""Whom a service asks: steps register versions in MLflow, and look at what the endpoint serves."""


@dataclass(frozen=True)
class Neighbour:
    """A service elsewhere. One that is `needed` is asked by a service of this host."""

    service: Service
    url: str
    needed: bool


def services_of(value: str) -> tuple[Service, ...]:
    """The services of a list with commas, each once, in the order of `SERVICES`.

    Raises `ValueError` for one that is none, with the nearest and all others, and for no service.
    """
    names = [name.strip() for name in value.split(",") if name.strip()]
    valid = ", ".join(SERVICES)
    for name in names:
        if name not in SERVICES:
            near = difflib.get_close_matches(name, SERVICES, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"{name!r} is no service{meant} Valid, with commas between: {valid}")
    if not names:
        raise ValueError(f"it names no service; valid, with commas between: {valid}")
    return tuple(name for name in SERVICES if name in names)


def neighbours(settings: Settings) -> tuple[Neighbour, ...]:
    """The services elsewhere whose address this host has: those that are asked from here, and those
    that lie at another address than this host's own would.
    """
    ports = {
        "airflow": settings.airflow_port,
        "mlflow": settings.mlflow_port,
        "serving": settings.serving_port,
    }
    needed = {name for service in settings.runs for name in ASKS.get(service, ())}
    return tuple(
        Neighbour(service, getattr(settings, field), service in needed)
        for service, field in ADDRESSES.items()
        if service not in settings.runs
        and (
            service in needed
            or getattr(settings, field) != f"http://{settings.host}:{ports[service]}"
        )
    )


def contradictions_of_services(settings: Settings, variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each thing that a service of this host needs and cannot have."""
    runs, start = settings.runs, f"{VARIABLE} is {settings.services}"
    if not runs:
        yield (
            f"{start}, and {PREFIX}EVIDENTLY_PORT is not set: nothing would run. Set the port, or"
            f" add a service of {', '.join(SERVICES)}."
        )
    if settings.evidently_port and "evidently" not in runs:
        yield (
            f"{PREFIX}EVIDENTLY_PORT is {settings.evidently_port}, and evidently is no service of"
            f" {VARIABLE}, which is {settings.services}. Unset the port, or set"
            f" {VARIABLE}={settings.services},evidently."
        )
    if "evidently" in runs and "airflow" not in runs:
        yield (
            f"{start}: Evidently's UI shows what Airflow's tasks write below the home of their"
            " host. Add airflow, or leave evidently out here and run it there."
        )
    for service in runs:
        for name in ASKS.get(service, ()):
            variable = f"{PREFIX}{ADDRESSES[name].upper()}"
            if name not in runs and variable not in variables:
                yield (
                    f"{start}: {service} asks {name}, which is neither of it nor given by"
                    f" {variable}. Set that to {name}'s address, for example"
                    f" http://{name}.example.com, or add {name}."
                )
    yield from _of_accounts(settings)
    if ("airflow" in runs) != ("serving" in runs) and runs & {"airflow", "serving"}:
        yield from _of_stores(settings)


def _of_accounts(settings: Settings) -> Iterator[str]:
    """Airflow and MLflow know the same users; a host makes up no passwords for another's."""
    either = settings.runs & {"airflow", "mlflow"}
    if len(either) != 1 or settings.mlflow_access != "accounts":
        return
    if settings.airflow_accounts_file is None:
        (here,) = either
        yield (
            f"{VARIABLE} is {settings.services}: airflow and mlflow know the same users, of the two"
            f" {here} alone runs here, and {PREFIX}AIRFLOW_ACCOUNTS_FILE is not set, so that each"
            " host would make up passwords of its own. Set it on both to a file of the same content"
            " (docs/environments.md)."
        )


def _of_stores(settings: Settings) -> Iterator[str]:
    """What releases and an endpoint share lies below one home or has an address."""
    tables = settings.tables_uri
    shares = {
        "models_uri": settings.models_uri is not None,
        "tables_uri": is_remote(tables) or not Path(tables).is_relative_to(settings.home),
        "online_store": settings.online_store not in (None, "sqlite"),
        "feature_registry": settings.feature_registry is not None,
    }
    for field, is_shared in shares.items():
        if not is_shared:
            yield (
                f"{VARIABLE} is {settings.services}: airflow and serving are on two hosts, and"
                f" {PREFIX}{field.upper()} leads to no place that both reach. Set it on both to the"
                " same address (docs/stores.md), or run both here."
            )
