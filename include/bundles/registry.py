"""Where bundles are kept: a folder or an object store, in which each has the name of its version.

    <version>.tar                        the bundle
    <version>.accepted-<environment>.json   which environment has run it end to end, signed

Nothing is replaced: what has a name is what the name says, whoever pushed it how often.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from include.bundles.acceptance import Acceptance, parse_acceptance
from include.bundles.manifest import short
from include.errors import BundleError, SettingsError, StorageError
from include.files import write
from include.object_storage import ObjectStore
from include.tables.durable import local_path

SUFFIX = ".tar"
ACCEPTED = ".accepted-"
SHORTEST_PREFIX = 6


class Place(Protocol):
    """Files by name in one folder, each written whole and once."""

    def names(self) -> list[str]:
        """The names of all files."""
        ...

    def read(self, name: str) -> bytes:
        """The content of a file. Raises `FileNotFoundError`."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file. May raise `FileExistsError` where something has the name."""
        ...


class Folder:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """The names of all files; none of a folder that is not there."""
        there = self._path.iterdir() if self._path.is_dir() else ()
        return [path.name for path in there if path.is_file() and not path.name.startswith(".")]

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return (self._path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Write aside, sync, and take the name unless it is taken."""
        write(self._path / name, content, durable=True, replace=False)


class Bucket:
    """A prefix of an object store, whose objects appear whole, each once: of two pushes at the same
    moment from two hosts one comes into place.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._objects = ObjectStore(uri)
        except (ValueError, SettingsError) as error:
            raise BundleError(f"The registry {uri} cannot be opened: {error}") from error

    def names(self) -> list[str]:
        """The names of all objects."""
        with _asking():
            return [name for name in self._objects.tags() if "/" not in name]

    def read(self, name: str) -> bytes:
        """The content of an object."""
        with _asking():
            stored = self._objects.read(name)
        if stored is None:
            raise FileNotFoundError(name)
        return stored.content

    def write(self, name: str, content: bytes) -> None:
        """Write an object, unless something has its name."""
        with _asking():
            made = name not in self._objects.tags(name) and self._objects.create(name, content)
        if not made:
            raise FileExistsError(name)


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise BundleError(str(error)) from error


class BundleRegistry:
    """The bundles below a folder or URI. Raises `BundleError` for an address that is none."""

    def __init__(self, uri: str) -> None:
        folder = local_path(uri)
        self.uri = uri
        self._place: Place = Bucket(uri) if folder is None else Folder(folder.expanduser())

    def push(self, version: str, archive: bytes) -> bool:
        """Keep an archive that was checked; whether it was not there yet.

        Raises `BundleError` where another content has its name.
        """
        return self._write_once(f"{version}{SUFFIX}", archive)

    def versions(self) -> list[str]:
        """The versions of all bundles, sorted."""
        names = self._place.names()
        return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))

    def find(self, prefix: str) -> str:
        """The one version that begins so. Raises `BundleError` where it is none, or several."""
        fitting = [version for version in self.versions() if version.startswith(prefix)]
        if len(prefix) < SHORTEST_PREFIX or len(fitting) != 1:
            there = ", ".join(short(version) for version in fitting or self.versions()) or "none"
            what = "Several bundles begin" if len(fitting) > 1 else "No bundle begins"
            raise BundleError(
                f"{what} with {prefix!r} in {self.uri}: it takes {SHORTEST_PREFIX} characters or"
                f" more that one alone begins with. There: {there}."
            )
        return fitting[0]

    def read(self, version: str) -> bytes:
        """The archive of a version, unchecked. Raises `BundleError` where it is not there."""
        try:
            return self._place.read(f"{version}{SUFFIX}")
        except FileNotFoundError as error:
            raise BundleError(f"{self.uri} has no bundle {version}.") from error

    def accept(self, acceptance: Acceptance) -> None:
        """Keep what an environment says of a bundle, unless it has said so before."""
        content = json.dumps(acceptance.as_json, indent=1, sort_keys=True).encode()
        try:
            self._place.write(_name(acceptance.version, acceptance.environment), content)
        except FileExistsError:
            return

    def acceptances(self, version: str) -> list[Acceptance]:
        """What environments say of a bundle, unchecked."""
        start = f"{version}{ACCEPTED}"
        names = sorted(name for name in self._place.names() if name.startswith(start))
        return [parse_acceptance(self._place.read(name), f"{self.uri}/{name}") for name in names]

    def _write_once(self, name: str, content: bytes) -> bool:
        try:
            self._place.write(name, content)
        except FileExistsError:
            if self._place.read(name) != content:
                raise BundleError(
                    f"{self.uri}/{name} is not what its name says: it was changed or damaged there."
                    " Remove it, and push again."
                ) from None
            return False
        return True


def _name(version: str, environment: str) -> str:
    return f"{version}{ACCEPTED}{environment}.json"


def registry_of(uri: str | None) -> BundleRegistry:
    """The registry at the URI. Raises `BundleError` where none is named."""
    if not uri:
        raise BundleError(
            "No registry of bundles is named: set FLIGHTDECK_BUNDLE_REGISTRY to a folder or a URI"
            " such as s3://bucket/pipelines, or give --registry."
        )
    return BundleRegistry(uri)
