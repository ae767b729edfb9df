"""The features of a batch are looked up, except where a row brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from include.features.online.store import LookedUp, OnlineFeatures
from include.spec import UseCase

NOTHING: tuple[str, ...] = ()


def gather_features(
    use_case: UseCase, online: OnlineFeatures, rows: Sequence[dict[str, Any]], *, wait: bool = True
) -> LookedUp:
    """Return the features of all rows, by one look-up for those that need it; the others' values
    as sent, neither unknown nor stale nor newer.

    With `wait=False` a locked online store raises `sqlite3.OperationalError` at once.
    """
    by_key = [row for row in rows if "features" not in row]
    if not by_key:
        nothing = [NOTHING] * len(rows)
        return LookedUp([row["features"] for row in rows], nothing, nothing, nothing)
    fetched = online.lookup_rows(by_key, [row[use_case.event_time] for row in by_key], wait=wait)
    if use_case.serving.newer_features == "accept":
        fetched = replace(fetched, newer=[NOTHING] * len(by_key))
    if len(by_key) == len(rows):
        return fetched
    looked_up = zip(fetched.features, fetched.unknown, fetched.stale, fetched.newer, strict=True)
    parts = [
        (row["features"], NOTHING, NOTHING, NOTHING) if "features" in row else next(looked_up)
        for row in rows
    ]
    return LookedUp(
        [part[0] for part in parts],
        [part[1] for part in parts],
        [part[2] for part in parts],
        [part[3] for part in parts],
    )
