"""The part of the model store that hosts share: in object storage, where `FLIGHTDECK_MODELS_URI`
names one.

    <models_uri>/packages/<use_case>/<version>.tar        a package with its statement
    <models_uri>/plans/<use_case>.json                    the traffic's plan
    <models_uri>/followers/<use_case>/<process>.json      which plan a process follows

Each is one object, which is there whole or not at all. What comes from there is as untrusted as any
file: digest, signature and statement are checked before a package takes its name on the disk.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

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


def packed(folder: Path) -> bytes:
    """The files of a folder as one archive, the same for the same files."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def unpack(archive: bytes, folder: Path, place: str) -> None:
    """Write an archive's files below a folder; raises `ServingError` naming `place` for what is no
    archive, or holds anything else than files that lie below it.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                inside, content = PurePosixPath(member.name), tar.extractfile(member)
                if content is None or inside.is_absolute() or ".." in inside.parts:
                    raise ServingError(
                        f"{place} holds {member.name!r}, which is no file of a package; deploy the"
                        " version again."
                    )
                path = folder / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    except (tarfile.TarError, EOFError) as error:
        raise ServingError(
            f"{place} is no whole package ({error}); deploy the version again."
        ) from error
