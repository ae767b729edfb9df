"""The packages that an endpoint may load, and the one that it should: plain folders and small
files, no registry needed.

    <serving_dir>/models/<use_case>/<version>/   a verified copy of the model package
    <serving_dir>/<use_case>/desired.json        what the endpoint should serve: {"version",
    "digest", "folder"} <serving_dir>/<use_case>/last_good.json      what it serves since, and
    last_good/<digest>/, its own copy of that package

The endpoint watches `desired.json`. A missing file changes nothing (the last good version stays);
`withdraw` says explicitly that no version should serve.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from include.errors import RegistryError, ServingError
from include.files import publishing, write
from include.model.package import package_digest, verify_package
from include.model.signing import public_key, verify_signature
from include.settings import Settings


@dataclass(frozen=True)
class Desired:
    """The version that should serve. `folder` is absolute."""

    version: int
    digest: str
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**asdict(self), "folder": str(self.folder)}


def version_folder(settings: Settings, use_case: str, version: int) -> Path:
    """Where `publish` puts a version."""
    return settings.serving_dir / "models" / use_case / str(version)


def desired_path(settings: Settings, use_case: str) -> Path:
    """The file that the endpoint watches."""
    return settings.serving_dir / use_case / "desired.json"


def publish(
    settings: Settings, use_case: str, package_folder: Path, version: int, digest: str
) -> Path:
    """Copy a package into the store, verified before and after, and return its folder; it is not
    yet desired.

    The folder appears complete or not at all. The same package again is a no-op, a damaged copy is
    replaced. Raises `DigestMismatch` when the package is not the one with `digest`,
    `SignatureError` when it is not signed with our key.
    """
    key = public_key(settings)
    _verify(package_folder, digest, key)
    folder = version_folder(settings, use_case, version)
    if folder.is_dir() and _is_intact(folder, digest, key):
        return folder
    with publishing(folder, durable=True) as aside:
        shutil.copytree(package_folder, aside, dirs_exist_ok=True)
        _verify(aside, digest, key)
    return folder


def set_desired(settings: Settings, use_case: str, version: int, digest: str) -> Desired:
    """Ask the endpoint to serve a published version; raises `ServingError` when it has not been
    published.
    """
    folder = version_folder(settings, use_case, version)
    if not folder.is_dir():
        raise ServingError(
            f"{use_case} version {version} is not in the model store ({folder}); publish it first."
        )
    state = Desired(version, digest, folder)
    write_state(desired_path(settings, use_case), state.as_json())
    return state


def withdraw(settings: Settings, use_case: str) -> None:
    """Ask the endpoint to serve no version of this use case."""
    write_state(desired_path(settings, use_case), {"version": None})


def keep_copy(folder: Path, state: Desired) -> Desired:
    """A copy of a version's package below `folder`, for the time when the model store cannot be
    read; the copy before it stays too.

    It appears complete or not at all; raises `OSError` when there is no space. Checking it is for
    whoever loads it.
    """
    copy = folder / state.digest
    if copy.is_dir() and package_digest(copy) != state.digest:
        shutil.rmtree(copy)
    if not copy.is_dir():
        # Of several processes that copy at once, one wins for all.
        with (
            suppress(FileExistsError),
            publishing(copy, durable=True, replace=False) as aside,
        ):
            shutil.copytree(state.folder, aside, dirs_exist_ok=True)
    others = [path for path in folder.iterdir() if path != copy and not path.name.startswith(".")]
    others.sort(key=lambda path: path.stat().st_mtime)
    for path in others[:-1]:
        shutil.rmtree(path, ignore_errors=True)
    return Desired(state.version, state.digest, copy)


def desired(settings: Settings, use_case: str) -> Desired | None:
    """The version that should serve;

    `None` when none was ever asked for or it was withdrawn. Raises `ServingError` for a broken
    file.
    """
    path = desired_path(settings, use_case)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return read_state(path, content)


def read_state(path: Path, content: bytes) -> Desired | None:
    """Parse what `write_state` wrote; raises `ServingError` naming the file when it holds something
    else.
    """
    try:
        state = json.loads(content)
        if state["version"] is None:
            return None
        return Desired(int(state["version"]), str(state["digest"]), Path(state["folder"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError(
            f"{path} does not hold version, digest and folder ({error!r}); deploy the version"
            " again."
        ) from error


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Replace a small JSON file atomically and durably."""
    write(path, json.dumps(state, indent=1), durable=True)


def _verify(folder: Path, digest: str, key: Path) -> None:
    verify_package(folder, digest)
    verify_signature(folder, key)


def _is_intact(folder: Path, digest: str, key: Path) -> bool:
    try:
        _verify(folder, digest, key)
    except RegistryError:
        return False
    return True
