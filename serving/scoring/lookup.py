"""The features of a batch are looked up, except where a row brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.features.online.store import LookedUp, OnlineFeatures
from include.spec import UseCase

NOTHING: tuple[str, ...] = ()


def gather_features(
    use_case: UseCase, online: OnlineFeatures, rows: Sequence[dict[str, Any]], *, wait: bool = True
) -> LookedUp:
    """Return the features of all rows, by one look-up for those that need it; the others' values
    as sent, neither unknown nor stale.

    With `wait=False` a locked online store raises `sqlite3.OperationalError` at once.
    """
    by_key = [row for row in rows if "features" not in row]
    if not by_key:
        return LookedUp(
            [row["features"] for row in rows], [NOTHING] * len(rows), [NOTHING] * len(rows)
        )
    fetched = online.lookup_rows(by_key, [row[use_case.event_time] for row in by_key], wait=wait)
    if len(by_key) == len(rows):
        return fetched
    looked_up = zip(fetched.features, fetched.unknown, fetched.stale, strict=True)
    parts = [
        (row["features"], NOTHING, NOTHING) if "features" in row else next(looked_up)
        for row in rows
    ]
    return LookedUp(
        [part[0] for part in parts], [part[1] for part in parts], [part[2] for part in parts]
    )
