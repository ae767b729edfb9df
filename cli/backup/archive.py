"""A backup's file: a tar archive whose last member lists every other one with its size and SHA-256.

It is written aside and takes its name when it is whole; only its owner can read it, since it holds
keys and passwords.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from include.errors import BackupError
from include.files import writing

CONTENTS = "backup.json"
FORMAT = 1
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Member:
    """A file of the backup: its size in bytes and the SHA-256 of its content."""

    size: int
    sha256: str


class Writer:
    """Adds files to an archive that is being written."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.members: dict[str, Member] = {}

    def add_file(self, name: str, path: Path, *, like: Path | None = None) -> None:
        """Add a file as it is, or with the permissions of the file `like`; of one that grows
        meanwhile, what it has at the beginning.

        Raises `FileNotFoundError` where it is gone, `BackupError` where it became shorter.
        """
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            self._add(name, file, status.st_size, like.stat() if like else status)

    def add_bytes(self, name: str, content: bytes, *, like: Path | None = None) -> None:
        """Add content of one's own under a name, with the permissions of the file `like`."""
        self._add(name, io.BytesIO(content), len(content), like.stat() if like else None)

    def _add(self, name: str, file: IO[bytes], size: int, status: os.stat_result | None) -> None:
        if name in self.members:
            return
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, stat.S_IMODE(status.st_mode) if status else 0o600
        entry.mtime = int(status.st_mtime) if status else 0
        hashed = _Hashed(file)
        try:
            self._archive.addfile(entry, hashed)
        except OSError as error:
            if "unexpected end of data" not in str(error):
                raise
            raise BackupError(f"{name} became shorter while it was read. Try again.") from error
        self.members[name] = Member(size, hashed.digest.hexdigest())


class _Hashed(io.RawIOBase):
    """Reads from another file and hashes what was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


@contextmanager
def writing_archive(path: Path, about: Mapping[str, Any]) -> Iterator[Writer]:
    """Yield a writer; at the end the archive has its list and takes its name, unless the body
    raises.

    `about` is written into the list. Raises `BackupError` where something has the name already.
    """
    try:
        with (
            writing(path, durable=True, replace=False, mode=0o600) as aside,
            tarfile.open(aside, "w", format=tarfile.PAX_FORMAT) as archive,
        ):
            writer = Writer(archive)
            yield writer
            members = {name: asdict(member) for name, member in writer.members.items()}
            content = {"format": FORMAT, **about, "members": members}
            writer.add_bytes(CONTENTS, json.dumps(content, indent=1).encode())
    except FileExistsError as error:
        raise BackupError(
            f"{path} is there already. A backup replaces nothing; choose another name."
        ) from error


def unpack(path: Path, folder: Path) -> dict[str, Any]:
    """Unpack a backup into an empty folder, and return its list once every file fits it.

    Raises `BackupError` naming the first file that does not, or what the archive is instead.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = {entry.name: _unpacked(archive, entry, folder) for entry in archive}
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {path}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise BackupError(
            f"{path} is no whole backup: {str(error) or type(error).__name__}. Use another copy"
            " of it."
        ) from error
    if CONTENTS not in members:
        raise BackupError(
            f"{path} holds no {CONTENTS}: it is no backup of Flightdeck, or its end is missing. Use"
            " another copy of it."
        )
    listed = folder / CONTENTS
    content: dict[str, Any] = json.loads(listed.read_bytes())
    listed.unlink()
    del members[CONTENTS]
    _require_whole(path, content, members)
    return content


def _require_whole(path: Path, content: Mapping[str, Any], members: Mapping[str, Member]) -> None:
    if content.get("format") != FORMAT:
        raise BackupError(
            f"{path} has the format {content.get('format')}, and this version of Flightdeck reads"
            f" {FORMAT}. Restore it with the version that made it: Flightdeck"
            f" {content.get('version', 'before 0.1.0')}, at {content.get('made_at')}."
        )
    listed = {name: Member(**member) for name, member in content["members"].items()}
    wrong = sorted(name for name in {*listed, *members} if listed.get(name) != members.get(name))
    if wrong:
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise BackupError(
            f"{path} is damaged: {wrong[0]}{more} is not what was saved. Use another copy of it."
        )


def _unpacked(archive: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> Member:
    """Write one file below `folder`; what would lie elsewhere, or is no file, is refused.

    tarfile's own filters came with 3.11.4, and Debian has an older one.
    """
    name = PurePosixPath(entry.name)
    source = archive.extractfile(entry) if entry.isreg() else None
    if source is None or name.is_absolute() or ".." in name.parts:
        raise BackupError(
            f"{archive.name!s} holds {entry.name!r}, which is no file of a home: it is no backup of"
            " Flightdeck."
        )
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    target.chmod(entry.mode & 0o777 or 0o600)
    os.utime(target, (entry.mtime, entry.mtime))
    return Member(size, digest.hexdigest())
