"""Files that must be whole and durable: keys, which must not be replaced either, and the names in a
folder.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def install(path: Path, content: bytes, mode: int) -> None:
    """Appear complete under the final name or not at all, with these permissions, and never replace
    what stands there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def sync(path: Path) -> None:
    """Make a file's content durable, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
