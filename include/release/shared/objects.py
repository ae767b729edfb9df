"""The part of the model store that hosts share: in object storage, where `FLIGHTDECK_MODELS_URI`
names one.

    <models_uri>/packages/<use_case>/<version>.tar        a package with its statement
    <models_uri>/plans/<use_case>.json                    the traffic's plan
    <models_uri>/followers/<use_case>/<process>.json      which plan a process follows

Each is one object, which is there whole or not at all. What comes from there is as untrusted as any
file: digest, signature and statement are checked before a package takes its name on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from include.errors import ServingError, StorageError
from include.object_storage import ObjectStore
from include.settings import Settings

PLANS, FOLLOWERS, PACKAGES = "plans", "followers", "packages"


def objects_of(settings: Settings) -> ObjectStore | None:
    """The shared part; None where the model store is a folder of this host."""
    return None if settings.models_uri is None else ObjectStore(settings.models_uri)


@contextmanager
def reaching() -> Iterator[None]:
    """Raise `ServingError` where the storage is away or refuses: then the model store is not in a
    usable state.
    """
    try:
        yield
    except StorageError as error:
        raise ServingError(str(error)) from error


def package_name(use_case: str, version: int) -> str:
    """The object of a version's package."""
    return f"{PACKAGES}/{use_case}/{version}.tar"
