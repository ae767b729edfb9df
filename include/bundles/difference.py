"""What two bundles differ in, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from include.bundles.manifest import Manifest, short

MOST_NAMES = 12


def differences(old: Manifest, new: Manifest) -> list[str]:
    """A sentence for each kind of thing that is not the same; none of equal bundles."""
    return [*_origins(old, new), *_parts(old, new)]


def _origins(old: Manifest, new: Manifest) -> Iterator[str]:
    if old.commit != new.commit:
        yield f"commit: {short(old.commit)} to {short(new.commit)}"
    if old.flightdeck != new.flightdeck:
        yield f"Flightdeck: {old.flightdeck} to {new.flightdeck}"
    if old.requires_python != new.requires_python:
        yield f"Python: {old.requires_python} to {new.requires_python}"
    if old.lock != new.lock:
        yield "locked requirements: other ones"
    if old.dirty != new.dirty:
        yield f"not as committed: {', '.join(new.dirty) or 'nothing any more'}"


def _parts(old: Manifest, new: Manifest) -> Iterator[str]:
    for title, before, after in (
        ("specifications", old.specifications, new.specifications),
        ("DAGs", old.dags, new.dags),
        ("images", old.images, new.images),
        ("models", old.models, new.models),
        ("files", old.files, new.files),
    ):
        yield from _entries(title, before, after)


def _entries(title: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for what, names in (
        ("new", [name for name in after if name not in before]),
        ("gone", [name for name in before if name not in after]),
        ("changed", [name for name in after if name in before and before[name] != after[name]]),
    ):
        if names:
            shown = ", ".join(sorted(names)[:MOST_NAMES])
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            yield f"{title}, {what}: {shown}{more}"
