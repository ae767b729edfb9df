"""A bundle's file: a tar archive of the list of contents, its signature and the files, which is the
same byte for byte whoever writes it when.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.bundles.manifest import MANIFEST, SIGNATURE, Manifest, PackedFile, parse_manifest
from include.errors import BundleError, SignatureError
from include.model.signing import public_key, sign_statement, verify_statement
from include.settings import Settings

PURPOSE = "pipeline bundle"
TRUSTED = "trusted"
MOST_BYTES = 1 << 28
"""A bundle is code: 256 MiB is more than any has."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: its list, the content of its files, and the archive's own bytes."""

    manifest: Manifest
    files: Mapping[str, bytes]
    archive: bytes

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.manifest.version


def packed(content: bytes, *, executable: bool = False) -> PackedFile:
    """What the list says of a file."""
    digest = hashlib.sha256(content).hexdigest()
    return PackedFile(size=len(content), sha256=digest, executable=executable)


def signed_bundle(settings: Settings, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """The bundle of these files, signed with the home's key."""
    signature = sign_statement(settings, PURPOSE, manifest.as_json)
    return Bundle(manifest, files, _archive(manifest, signature, files))


def trusted_keys(settings: Settings) -> list[Path]:
    """The public keys whose bundles are taken: the home's own, and those in keys/trusted."""
    more = sorted((settings.keys_dir / TRUSTED).glob("*.pem"))
    return [path for path in (public_key(settings), *more) if path.is_file()]


def read_bundle(content: bytes, where: str, keys: Sequence[Path]) -> Bundle:
    """Check an archive against its signature and its list, and return it.

    Nothing is written and nothing of it runs. Raises `SignatureError` where none of the `keys` has
    signed it, `BundleError` where a byte of it is not as it was built.
    """
    members = dict(_members(content, where))
    if MANIFEST not in members:
        raise BundleError(f"{where} holds no {MANIFEST}: it is no bundle of Flightdeck.")
    manifest = parse_manifest(members.pop(MANIFEST), where)
    if SIGNATURE not in members:
        raise SignatureError(
            f"{where} is not signed: there is no {SIGNATURE} in it. Build it with `flightdeck"
            " bundle build` where a signing key is."
        )
    signature = _signature(members.pop(SIGNATURE), where)
    _require_signed(manifest, signature, where, keys)
    for name in sorted({*manifest.files, *members}):
        entry = manifest.files.get(name)
        if entry is None or name not in members or not fits(members[name], entry):
            raise BundleError(
                f"{where} is damaged: {name} is not what was built. Use another copy of it."
            )
    if content != _archive(manifest, signature, members):
        raise BundleError(
            f"{where} is damaged: its files are whole, and not the bytes around them. Use another"
            " copy of it."
        )
    return Bundle(manifest, members, content)


def fits(content: bytes, entry: PackedFile) -> bool:
    """Whether the content is what the list says."""
    return len(content) == entry.size and hashlib.sha256(content).hexdigest() == entry.sha256


def _require_signed(manifest: Manifest, signature: str, where: str, keys: Sequence[Path]) -> None:
    if not keys:
        raise SignatureError(
            f"The signature of {where} cannot be checked: there is no public key. Put that of"
            " whoever builds bundles into keys/trusted below the home."
        )
    for key in keys:
        try:
            verify_statement(key, PURPOSE, manifest.as_json, signature)
        except SignatureError:
            continue
        return
    raise SignatureError(
        f"{where} is signed by none of the keys that are trusted here"
        f" ({', '.join(map(str, keys))}). Whoever trusts its builder puts the public key into"
        f" {keys[0].parent / TRUSTED if keys[0].parent.name != TRUSTED else keys[0].parent}."
    )


def _signature(content: bytes, where: str) -> str:
    try:
        return str(json.loads(content)["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise SignatureError(
            f"{where} is damaged: {SIGNATURE} is none. Use another copy."
        ) from error


def _members(content: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member, read in memory: nothing of it becomes a file."""
    if len(content) > MOST_BYTES:
        raise BundleError(f"{where} has {len(content):,} bytes: it is no bundle of Flightdeck.")
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for entry in archive:
                source = archive.extractfile(entry) if entry.isreg() else None
                if source is None:
                    raise BundleError(f"{where} holds {entry.name!r}, which is no file.")
                yield entry.name, source.read()
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise BundleError(
            f"{where} is no whole bundle: {str(error) or type(error).__name__}. Use another copy of"
            " it."
        ) from error


def _archive(manifest: Manifest, signature: str, files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, MANIFEST, manifest.content)
        _add(archive, SIGNATURE, json.dumps({"signature": signature}).encode())
        for name in sorted(files):
            _add(archive, name, files[name], executable=manifest.files[name].executable)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, *, executable: bool = False) -> None:
    entry = tarfile.TarInfo(name)
    # No time, owner or group: they would be those of whoever builds.
    entry.size, entry.mode = len(content), 0o755 if executable else 0o644
    archive.addfile(entry, io.BytesIO(content))
