"""The part of requirements.txt that one image needs, with the lock's own versions and hashes:
`python3 -I locked.py IMAGE < requirements.txt`, beside `packages.toml`.

Nothing is resolved again: the lock says of every package by which others it is needed, and what the
image begins with brings along all that hangs from it. Only the standard library is imported, for
the Dockerfile calls it before there are packages.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).with_name("packages.toml")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==")
CHOSEN = "-r requirements.in"


@dataclass(frozen=True)
class Locked:
    """One entry of the lock: its lines as they stand there, and by which packages it is needed.

    A package that is locked twice, for different Pythons, has two entries.
    """

    name: str
    lines: tuple[str, ...]
    needed_by: frozenset[str]


def read_lock(text: str) -> list[Locked]:
    """Every entry of a lock that `uv pip compile --generate-hashes` wrote."""
    entries: list[list[str]] = []
    for line in text.splitlines():
        if PIN.match(line):
            entries.append([line])
        elif entries and line.startswith(" "):
            entries[-1].append(line)
    return [_entry(lines) for lines in entries]


def _entry(lines: list[str]) -> Locked:
    match = PIN.match(lines[0])
    name = match[1] if match else ""
    comments = [line.strip().lstrip("#").strip() for line in lines if line.startswith("    #")]
    parents = [re.sub(r"^via\s*", "", comment) for comment in comments]
    kept = tuple(line for line in lines if not line.startswith("    #"))
    return Locked(name, kept, frozenset(parent for parent in parents if parent))


def chosen(entries: Iterable[Locked]) -> list[str]:
    """The names that requirements.in itself chooses."""
    return sorted({entry.name for entry in entries if CHOSEN in entry.needed_by})


def starts_of(image: str, packages: Mapping[str, Any], entries: Iterable[Locked]) -> list[str]:
    """The packages that an image begins with.

    Raises `SystemExit` for an image or a package that is not there, with those that are.
    """
    images, names = packages["images"], chosen(entries)
    if image not in images:
        sys.exit(f"there is no image {image!r} in packages.toml; valid: {', '.join(images)}")
    listed = images[image]["packages"]
    if listed != "all":
        return list(listed)
    absent = {name for group in images[image]["without"] for name in packages["groups"][group]}
    return [name for name in names if name not in absent]


def subset(image: str, packages: Mapping[str, Any], entries: list[Locked]) -> list[Locked]:
    """The entries of an image in the lock's order: what it begins with and all that hangs from it,
    but what no image takes.
    """
    needs: dict[str, set[str]] = {}
    for entry in entries:
        for parent in entry.needed_by:
            needs.setdefault(parent, set()).add(entry.name)
    left_out = set(packages["left_out"])
    reached: set[str] = set()
    pending = starts_of(image, packages, entries)
    missing = sorted(set(pending) - {entry.name for entry in entries})
    if missing:
        sys.exit(f"packages.toml names {', '.join(missing)} for {image}; the lock has none of it")
    while pending:
        name = pending.pop()
        if name not in reached | left_out:
            reached.add(name)
            pending.extend(needs.get(name, ()))
    return [entry for entry in entries if entry.name in reached]


def lines_of(entries: Iterable[Locked]) -> Iterator[str]:
    """The lines of a lock with these entries alone."""
    for entry in entries:
        yield from entry.lines


def main(arguments: list[str]) -> int:
    """Write the part of the lock on standard input that belongs to the image."""
    if len(arguments) != 1:
        sys.exit("usage: locked.py IMAGE < requirements.txt")
    packages = tomllib.loads(PACKAGES.read_text(encoding="utf-8"))
    entries = subset(arguments[0], packages, read_lock(sys.stdin.read()))
    sys.stdout.writelines(f"{line}\n" for line in lines_of(entries))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
