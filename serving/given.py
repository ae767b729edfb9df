"""The features of a batch: looked up, except where a row brings its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.features.online import Lookup, OnlineFeatures
from include.spec import UseCase


def gather_features(use_case: UseCase, online: OnlineFeatures, rows: Sequence[dict[str, Any]]) -> Lookup:
    """One look-up for all rows that need one; the others' values as sent, neither unknown nor stale."""
    asking = [row for row in rows if "features" not in row]
    found = _look_up(use_case, online, asking) if asking else Lookup({}, [], [])
    if len(asking) == len(rows):
        return found
    names = [name.replace(":", "__") for name in use_case.feature_references]
    positions = iter(range(len(asking)))
    places = [None if "features" in row else next(positions) for row in rows]
    columns = {
        name: [row["features"][name] if place is None else found.columns[name][place] for row, place in zip(rows, places, strict=True)]
        for name in dict.fromkeys(names)
    }
    unknown = [() if place is None else found.unknown[place] for place in places]
    return Lookup(columns, unknown, [() if place is None else found.stale[place] for place in places])


def _look_up(use_case: UseCase, online: OnlineFeatures, rows: Sequence[dict[str, Any]]) -> Lookup:
    keys = [{key: row[key] for key in use_case.serving.entity_keys} for row in rows]
    return online.lookup(keys, [row[use_case.event_time] for row in rows])
