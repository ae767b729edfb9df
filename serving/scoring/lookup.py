"""The features of a batch: looked up, except where a row brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.features.online.store import LookedUp, OnlineFeatures
from include.spec import UseCase

NOTHING: tuple[str, ...] = ()


def gather_features(
    use_case: UseCase, online: OnlineFeatures, rows: Sequence[dict[str, Any]], *, wait: bool = True
) -> LookedUp:
    """One look-up for all rows that need one; the others' values as sent, neither unknown nor
    stale.

    With `wait=False` a locked online store raises `sqlite3.OperationalError` at once.
    """
    asking = [row for row in rows if "features" not in row]
    if not asking:
        return LookedUp(
            [row["features"] for row in rows], [NOTHING] * len(rows), [NOTHING] * len(rows)
        )
    found = online.lookup_rows(asking, [row[use_case.event_time] for row in asking], wait=wait)
    if len(asking) == len(rows):
        return found
    looked_up = zip(found.features, found.unknown, found.stale, strict=True)
    parts = [
        (row["features"], NOTHING, NOTHING) if "features" in row else next(looked_up)
        for row in rows
    ]
    return LookedUp(
        [part[0] for part in parts], [part[1] for part in parts], [part[2] for part in parts]
    )
