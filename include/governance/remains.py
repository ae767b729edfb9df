"""What an erasure leaves, with why and what to do: files that are signed, other programs' or the
source's own, and copies that lie elsewhere.
"""

from __future__ import annotations

import json
import mmap
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.inference_log.spool import spool_path
from include.settings import Settings
from include.spec import UseCase
from include.tables.durable import local_path
from include.tables.erased import ErasedKeys

GOLDEN = "golden.json"
WHY = {
    "package": (
        "signed: the examples in it are part of what was tested. Train again, release that"
        " version, and retire and delete this one"
    ),
    "file": (
        "another program's record or a report, in which the text may also mean something else."
        " Look, and delete the file or the run by hand"
    ),
}
BACKUPS = (
    "what was saved before holds the rows. Delete backups, or after each restore run `flightdeck"
    " privacy again USE_CASE --list FILE`"
)
SOURCE = "the source's own: erase there. What it delivers again of this key is dropped at landing"


@dataclass(frozen=True)
class Remains:
    """A place with how many things in it name the person, and why they stay."""

    place: str
    found: int
    stays: str


def remains_of(
    settings: Settings, use_case: UseCase, erased: ErasedKeys, key: tuple[str, str] | None
) -> Iterator[Remains]:
    """What stays of those on the list; files other than packages are searched for the text of the
    key alone, where there is one.
    """
    packages, texts = Counter[str](), Counter[str]()
    pattern = None if key is None else _pattern(key[1])
    for path in _files(settings):
        shown = _shown(settings, path)
        if path.name == GOLDEN:
            packages[str(Path(shown).parent)] += _examples(path, erased)
        elif pattern is not None and _names(path, pattern):
            texts["/".join(shown.split("/")[:3])] += 1
    for place, count in sorted((+packages).items()):
        yield Remains(place, count, WHY["package"])
    for place, count in sorted(texts.items()):
        yield Remains(place, count, WHY["file"])
    if settings.delivery_dir is not None:
        yield Remains(f"{settings.delivery_dir}/{use_case.name}", 0, SOURCE)
    yield Remains("backups", 0, BACKUPS)


def _files(settings: Settings) -> Iterator[Path]:
    """All files of the home but those of tables, spool and journal, and the databases that are
    erased by themselves.
    """
    folders = [spool_path(settings).parent, settings.keys_dir]
    if (tables := local_path(settings.tables_uri)) is not None:
        folders.append(tables)
    for path in sorted(settings.home.rglob("*")):
        if (
            path.is_file()
            and not path.is_symlink()
            and not any(path.is_relative_to(folder) for folder in folders)
        ):
            yield path


def _shown(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home).as_posix()


def _pattern(value: str) -> re.Pattern[bytes]:
    """The text where it is a word of its own."""
    return re.compile(rb"(?<![A-Za-z0-9])" + re.escape(value.encode()) + rb"(?![A-Za-z0-9])")


def _names(path: Path, pattern: re.Pattern[bytes]) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return pattern.search(content) is not None


def _examples(path: Path, erased: ErasedKeys) -> int:
    """How many rows of a package's golden file are about somebody on the list."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return 0
    return sum(
        any(erased.holds(name, value) for name, value in row.items()) for row in _rows(document)
    )


def _rows(document: Any) -> Iterator[dict[str, Any]]:
    """Every object of single values, however deep."""
    if isinstance(document, dict):
        if any(not isinstance(value, dict | list) for value in document.values()):
            yield {
                name: value
                for name, value in document.items()
                if not isinstance(value, dict | list)
            }
        for value in document.values():
            yield from _rows(value)
    elif isinstance(document, list):
        for value in document:
            yield from _rows(value)
