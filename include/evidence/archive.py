"""The archive: a zip file of records, a manifest of all of them, and its signature.

    manifest.json    what it is about, and of every other file SHA-256, size and source
    signature.json   the manifest's signature by the key that signs packages, and its public half

The same records give the same bytes. Nothing of an archive that is read is written anywhere.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.errors import EvidenceError
from include.evidence.records import RecordFile
from include.evidence.scope import sha256
from include.model.signing import public_key, sign_statement
from include.settings import Settings

FORMAT = "flightdeck-evidence/1"
PURPOSE = "evidence"
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
MOST_BYTES = 1 << 31
"""2 GiB unpacked: more than the records of a version have; no archive may fill the memory."""
LEVEL = 6
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold: no file carries one of its own."""
LOCAL_HEADER, DIRECTORY_ENTRY, DIRECTORY_END, LARGE_END = 30, 46, 22, 76
"""Sizes in bytes of what a zip file has around its files; the last of one with very many."""


@dataclass(frozen=True)
class Read:
    """The files of an archive by name, and what is wrong with the archive around them."""

    files: Mapping[str, bytes]
    problems: tuple[tuple[str, str], ...]


def packed(
    settings: Settings, about: Mapping[str, Any], files: Sequence[RecordFile]
) -> tuple[bytes, dict[str, Any]]:
    """The archive's bytes and its manifest. Raises `EvidenceError` for a name that comes twice."""
    names = [file.name for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EvidenceError(f"{twice} would be twice in the archive: each record has a file.")
    manifest = {
        "format": FORMAT,
        **about,
        "files": {
            file.name: {
                "sha256": sha256(file.content),
                "bytes": len(file.content),
                "source": file.source,
            }
            for file in sorted(files, key=lambda file: file.name)
        },
    }
    signature = {
        "signature": sign_statement(settings, PURPOSE, manifest),
        "public_key": public_key(settings).read_text(encoding="ascii"),
    }
    contents = {
        MANIFEST: _text(manifest),
        SIGNATURE: _text(signature),
        **{file.name: file.content for file in files},
    }
    return _zipped(contents), manifest


def _text(document: Mapping[str, Any]) -> bytes:
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


def _zipped(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        for name in sorted(contents, key=lambda name: (name.count("/"), name)):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, contents[name])
    return buffer.getvalue()


def read(content: bytes, where: str) -> Read:
    """The files of an archive. A file that cannot be unpacked is a problem with its name, and so
    is what belongs to no file. Raises `EvidenceError` for what is no archive at all.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise EvidenceError(
            f"{where} is no archive of evidence, or is cut off: {error}. Use another copy of it."
        ) from error
    files: dict[str, bytes] = {}
    problems: list[tuple[str, str]] = []
    with archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise EvidenceError(f"{where} unpacks to more than {MOST_BYTES:,} bytes.")
        for entry in entries:
            if entry.filename in files:
                problems.append((entry.filename, "is in the archive twice"))
                continue
            try:
                files[entry.filename] = archive.read(entry)
            except (
                zipfile.BadZipFile,
                zlib.error,
                EOFError,
                NotImplementedError,
                RuntimeError,
                ValueError,
            ) as error:
                problems.append((entry.filename, f"cannot be unpacked ({error})"))
        if len(content) != _bytes_of(entries):
            problems.append(
                (where, "holds bytes that belong to none of its files, or lacks some of its own")
            )
    return Read(files, tuple(problems))


def _bytes_of(entries: Sequence[zipfile.ZipInfo]) -> int:
    """How long an archive with these entries is that was written here."""
    around = LOCAL_HEADER + DIRECTORY_ENTRY
    names = sum(2 * len(entry.filename.encode()) + around for entry in entries)
    end = DIRECTORY_END + (LARGE_END if len(entries) > zipfile.ZIP_FILECOUNT_LIMIT else 0)
    return names + sum(entry.compress_size for entry in entries) + end
