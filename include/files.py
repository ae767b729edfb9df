"""Files and folders that appear complete under their name or not at all: one way to write aside,
sync and rename.

A reader sees what stood there before or all of the new content, also when the writer is killed in
the middle; two writers at once do not mix. What a killed writer leaves has a hidden name beside the
target, `.<name>.<process>.<random>`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

LOCK_POLL_SECONDS = 0.02

# What a rename of a folder says where a folder with content or a file has the name.
TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def sqlite_url(path: Path) -> str:
    """SQLAlchemy's address of a SQLite file at an absolute path.

    In an address "?" would end the file's name, so such a path is written with "%" and numbers;
    any other stands as it is, which MLflow expects.
    """
    return f"sqlite:///{quote(str(path)) if '?' in str(path) else path}"


def write(
    path: Path,
    content: bytes | str,
    *,
    durable: bool = False,
    replace: bool = True,
    mode: int | None = None,
) -> None:
    """Write a file whole or not at all, text as UTF-8; the arguments are those of `writing`."""
    with writing(path, durable=durable, replace=replace, mode=mode) as aside:
        aside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing(
    path: Path, *, durable: bool = False, replace: bool = True, mode: int | None = None
) -> Iterator[Path]:
    """Yield the path aside to write to; at the end it takes the name, unless the body raises.

    Missing parent folders are made. `durable`: it is there after a power cut too, which costs two
    syncs. `replace=False` raises `FileExistsError` where something stands there already, which then
    stays as it is. `mode` are the permissions; before the file has them nobody else can read it.
    """
    make_folder(path.parent, durable=durable)
    aside = _beside(path)
    try:
        if mode is not None:
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield aside
        if mode is not None:
            aside.chmod(mode)
        if durable:
            sync(aside)
        if replace:
            aside.replace(path)
        else:
            # A rename would replace; a link does not.
            os.link(aside, path)
        if durable:
            sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def publishing(folder: Path, *, durable: bool = False, replace: bool = True) -> Iterator[Path]:
    """Yield an empty folder aside to fill; at the end it takes the name, unless the body raises.

    Missing parent folders are made. `durable` syncs every file and folder of it. `replace=False`
    raises `FileExistsError` where something stands there already, which then stays as it is.
    """
    aside = _beside(folder)
    make_folder(folder.parent, durable=durable)
    aside.mkdir()
    try:
        yield aside
        if durable:
            for path in [*aside.rglob("*"), aside]:
                sync(path)
        former = _replace_folder(aside, folder) if replace else _claim_name(aside, folder)
        if durable:
            sync(folder.parent)
        # Not before the new one is there for good: what a power cut leaves is one of the two.
        for path in former:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def make_folder(folder: Path, *, durable: bool = True) -> None:
    """Make a folder and the missing ones above it; `durable`: they are there after a power cut
    too.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    if durable:
        for path in missing:
            sync(path.parent)


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold a lock that the kernel releases when its holder dies, for processes of one machine.

    Raises `TimeoutError` when another process has it for longer than `seconds`.
    """
    file = _taken(path, seconds, fcntl.LOCK_EX)
    try:
        yield
    finally:
        # Whoever waits for this very file notices that it has lost its name, and opens the next.
        path.unlink(missing_ok=True)
        file.close()


@contextmanager
def shared(path: Path, *, seconds: float) -> Iterator[None]:
    """Hold a lock together with whoever else holds it shared, so that nobody has it as `locked`.

    Raises `TimeoutError` when another process has it alone for longer than `seconds`.
    """
    # The file stays under its name: another holder has it, and whoever comes must meet that one.
    with _taken(path, seconds, fcntl.LOCK_SH):
        yield


def _taken(path: Path, seconds: float, kind: int) -> IO[str]:
    make_folder(path.parent, durable=False)
    deadline = time.monotonic() + seconds
    while True:
        file = path.open("a")
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except (BlockingIOError, FileNotFoundError):
            if time.monotonic() > deadline:
                file.close()
                raise TimeoutError(
                    f"{path} is locked by another process for more than {seconds:g} seconds"
                ) from None
            time.sleep(LOCK_POLL_SECONDS)
        file.close()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Let this process make files without the permissions of the mask, for a while."""
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")


def _claim_name(aside: Path, folder: Path) -> list[Path]:
    try:
        aside.rename(folder)
    except OSError as error:
        # By the error and not by a look: another writer may have moved it away since.
        if error.errno in TAKEN:
            raise FileExistsError(f"{folder} is there already") from error
        raise
    return []


def _replace_folder(aside: Path, folder: Path) -> list[Path]:
    """Put `aside` under the name, and give what stood there, under other names; of several
    processes that do so at once, the last one's stays.
    """
    replaced: list[Path] = []
    while True:
        # A folder cannot be renamed onto one with content: what stands there is moved away first,
        # so that the name is missing as briefly as can be.
        former = _beside(folder)
        with suppress(FileNotFoundError):
            folder.rename(former)
            replaced.append(former)
        with suppress(FileExistsError):
            _claim_name(aside, folder)
            return replaced
