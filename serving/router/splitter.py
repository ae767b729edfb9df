"""A splitter assigns units to the arms of a plan, by weighted rendezvous hashing.

Every arm draws a number u in (0, 1) for a unit, by a hash of the salt, the arm and the unit; the
arm with the smallest -ln(u) / share answers (Thaler and Ravishankar, 1998; weights after Schindler
and others, "Weighted distributed hash tables", 2005). So each arm gets its share of the units, the
same unit gets the same arm in every process, and raising a share moves units to that arm only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from datetime import time as clock
from functools import lru_cache, partial
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import orjson

from include.release.plan import Plan
from serving.scoring.arm import Arm

HASH_BYTES = 8
RANGE = float(2 ** (8 * HASH_BYTES))
OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME
CACHED_UNITS = 16_384
"""Units come again, and drawing an arm takes three times as long as the rest of picking it."""


class Splitter:
    """Gives rows their arms. `unit` are the columns that make up a row's unit; where all of them
    are null in a row, `otherwise` do, so that rows without a unit do not all fall on one arm.
    """

    def __init__(
        self, plan: Plan, arms: Iterable[Arm], unit: Sequence[str], otherwise: Sequence[str]
    ) -> None:
        self._unit = tuple(unit)
        self._otherwise = tuple(otherwise)
        # Of several names it takes half the time; of one it would give the value alone.
        self._at_once: Callable[[Mapping[str, Any]], Sequence[Any]] = (
            itemgetter(*unit) if len(unit) > 1 else partial(_values, names=self._unit)
        )
        self._arms = [
            (arm, 1.0 / arm.share, _hash_of(plan.salt, arm)) for arm in arms if arm.share > 0.0
        ]
        self._arm_of_unit = lru_cache(maxsize=CACHED_UNITS)(self._draw)

    def arm_of(self, row: Mapping[str, Any]) -> Arm:
        """Return the arm that a row falls on."""
        try:
            values = self._at_once(row)
        except KeyError:
            values = _values(row, self._unit)
        if values.count(None) == len(values):
            values = _values(row, self._otherwise)
        # As JSON no two different lists of values are the same bytes.
        return self._arm_of_unit(orjson.dumps(values, _time_as_json, OPTIONS))

    def _draw(self, unit: bytes) -> Arm:
        lowest, picked = math.inf, self._arms[0][0]
        for arm, weight, keyed in self._arms:
            drawing = keyed.copy()
            drawing.update(unit)
            drawn = (int.from_bytes(drawing.digest(), "big") + 0.5) / RANGE
            cost = -math.log(drawn) * weight
            if cost < lowest:
                lowest, picked = cost, arm
        return picked


def _values(row: Mapping[str, Any], names: Sequence[str]) -> Sequence[Any]:
    """Return a row's values of some columns, None where it has no such column."""
    return [row.get(name) for name in names]


def _time_as_json(value: Any) -> float | str:
    """A moment is the same in whatever time zone it was sent."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date | clock):
        return value.isoformat()
    raise TypeError


def _hash_of(salt: str, arm: Arm) -> blake2b:
    """The arm's own hash, which units are added to: keyed by version and digest, not by role, so
    that the units which meet a challenger first are others at each release.
    """
    text = f"{salt}\0{arm.version}\0{arm.model.digest}"
    key = blake2b(text.encode(), digest_size=32).digest()
    return blake2b(digest_size=HASH_BYTES, key=key)
