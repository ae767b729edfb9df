"""A package's folder as one object: put whole or not at all, and opened as what anybody could have
written.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

from include.errors import ServingError


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
                inside = PurePosixPath(member.name)
                # Whatever is no plain file, as a link, is not followed.
                content = tar.extractfile(member) if member.isreg() else None
                if content is None or inside.is_absolute() or ".." in inside.parts:
                    raise ServingError(
                        f"{place} holds {member.name!r}, which is no file of a package; deploy the"
                        " version again."
                    )
                path = folder / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ServingError(
            f"{place} is no whole package ({error}); deploy the version again."
        ) from error
