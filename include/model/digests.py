"""The digest of a model package, and whether the files at hand are those with a digest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from include.errors import DigestMismatch, RegistryError

DIGEST_FILE = "digest.json"
SIGNATURE_FILE = "signature.json"
RELEASE_FILE = "release.json"
"""Says under which number a package was published (`include.release.statement`): as it is signed
beside the package, neither digest nor signature of the package cover it.
"""
NOT_DIGESTED = (DIGEST_FILE, SIGNATURE_FILE, RELEASE_FILE)


def package_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files below `folder` except digest.json,
    signature.json and release.json.

    Digested are lines `<sha256 of the file>  <name>\\n`, sorted by name: what `sha256sum * |
    sha256sum` prints without those three.
    """
    lines = "".join(f"{digest}  {name}\n" for name, digest in file_digests(folder).items())
    return hashlib.sha256(lines.encode()).hexdigest()


def verify_package(folder: Path, expected_digest: str) -> None:
    """Raise `DigestMismatch` unless the package's files are exactly those with `expected_digest`;
    the text names the files that differ.
    """
    actual = package_digest(folder)
    if actual == expected_digest:
        return
    raise DigestMismatch(
        f"The model package at {folder} has digest {actual[:16]}, expected {expected_digest[:16]}:"
        f" {_differences(folder)} Do not use it; fetch the version from the registry again or train"
        " anew."
    )


def verify_files(folder: Path, expected_digest: str | None) -> str:
    """Check the package against its own digest.json, and against `expected_digest` if given; return
    its digest. Parses no model.

    Raises `RegistryError` when there is no package, `DigestMismatch` for altered bytes or another
    package.
    """
    recorded = str(_recorded_digest(folder)["digest"])
    verify_package(folder, recorded)
    if expected_digest is not None and expected_digest != recorded:
        raise DigestMismatch(
            f"The model package at {folder} is intact but another one: its digest is"
            f" {recorded[:16]}, expected {expected_digest[:16]}. Fetch the version that was"
            " evaluated."
        )
    return recorded


def _recorded_digest(folder: Path) -> dict[str, Any]:
    path = folder / DIGEST_FILE
    try:
        recorded = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RegistryError(
            f"There is no model package at {folder}: {DIGEST_FILE} is missing."
        ) from error
    except ValueError as error:
        raise DigestMismatch(f"{path} is not JSON: {error}") from error
    if (
        not isinstance(recorded, dict)
        or not isinstance(recorded.get("digest"), str)
        or not isinstance(recorded.get("files"), dict)
    ):
        raise DigestMismatch(f"{path} holds no digest; it needs the keys 'digest' and 'files'.")
    return recorded


def _differences(folder: Path) -> str:
    try:
        recorded = _recorded_digest(folder)["files"]
    except RegistryError as error:
        return str(error)
    actual = file_digests(folder)
    changed = sorted(
        name for name in {*recorded, *actual} if recorded.get(name) != actual.get(name)
    )
    return f"changed, added or missing files: {changed}." if changed else "it is another package."


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 by name of all files below `folder` except digest.json, signature.json and
    release.json, sorted by name.
    """
    files = {
        path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()
    }
    return {
        name: hashlib.sha256(files[name].read_bytes()).hexdigest()
        for name in sorted(files)
        if name not in NOT_DIGESTED
    }
