"""Making a Delta table's newest versions durable: a commit that the disk has not got is gone after
a power cut, and with it the rows that were removed from where they came from.

Delta writes data files and commits and syncs neither. On object storage a write that was answered
is durable, and there is nothing to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from include.files import sync

VERSIONS = 20
"""How many versions are synced: those that a killed writer may have left unsynced before this one.
What is older the kernel has written long since."""


def make_durable(uri: str, version: int) -> None:
    """Sync the newest `VERSIONS` versions up to this one: data files, commits, checkpoints, and
    every folder on the way, in this order.

    Raises `OSError` when the disk does not take them; nothing that the table replaces may be
    removed then.
    """
    root = local_path(uri)
    if root is None:
        return
    log = root / "_delta_log"
    commits = [log / f"{number:020d}.json" for number in _newest(version)]
    data = [root / name for commit in commits for name in _added(commit)]
    checkpoints = [
        path for number in _newest(version) for path in log.glob(f"{number:020d}.checkpoint*")
    ]
    for path in (*data, *checkpoints, *commits, log / "_last_checkpoint"):
        # A file that is gone belongs to a version that nobody keeps any more.
        with suppress(FileNotFoundError):
            sync(path)
    for folder in _folders(root, [*data, log / "_"]):
        with suppress(FileNotFoundError):
            sync(folder)


def local_path(uri: str) -> Path | None:
    """The folder that a URI names; None for one on object storage."""
    if uri.startswith("file://"):
        return Path(unquote(uri.removeprefix("file://")))
    return None if "://" in uri else Path(uri)


def _newest(version: int) -> range:
    return range(max(0, version - VERSIONS + 1), version + 1)


def _added(commit: Path) -> Iterator[str]:
    """The data files that a commit adds, relative to the table."""
    try:
        # Statistics hold text of callers, and `splitlines` would break it at U+0085 or U+2028.
        lines = commit.read_bytes().split(b"\n")
    except FileNotFoundError:
        return
    for line in filter(None, lines):
        action = json.loads(line)
        for kind in ("add", "cdc"):
            if kind in action:
                yield unquote(action[kind]["path"])


def _folders(root: Path, files: list[Path]) -> list[Path]:
    """The folders of the files, then those above the table, the deepest first."""
    inside = {
        folder
        for file in files
        for folder in file.parents
        if folder == root or root in folder.parents
    }
    # A table's name has at most a few parts; the folders above them are older than any table.
    above = root.parents[:4]
    deepest_first = sorted(inside, key=lambda folder: -len(folder.parts))
    return [*deepest_first, *above]
