"""A splitter assigns units to the arms of a plan, by weighted rendezvous hashing.

Every arm draws a number u in (0, 1) for a unit, by a hash of the salt, the arm and the unit; the
arm with the smallest -ln(u) / share answers (Thaler and Ravishankar, 1998; weights after Schindler
and others, "Weighted distributed hash tables", 2005). So each arm gets its share of the units, the
same unit gets the same arm in every process, and raising a share moves units to that arm only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any

from include.release.plan import Plan
from serving.scoring.arm import Arm

HASH_BYTES = 8
RANGE = float(2 ** (8 * HASH_BYTES))


class Splitter:
    """Gives rows their arms. `unit` are the columns that make up a row's unit; where all of them
    are null in a row, `otherwise` do, so that rows without a unit do not all fall on one arm.
    """

    def __init__(
        self, plan: Plan, arms: Iterable[Arm], unit: Sequence[str], otherwise: Sequence[str]
    ) -> None:
        self._unit = tuple(unit)
        self._otherwise = tuple(otherwise)
        self._arms = [
            (arm, 1.0 / arm.share, _key(plan.salt, arm)) for arm in arms if arm.share > 0.0
        ]

    def arm_of(self, row: Mapping[str, Any]) -> Arm:
        """Return the arm that a row falls on."""
        content = self._content(row)
        lowest, picked = math.inf, self._arms[0][0]
        for arm, weight, key in self._arms:
            digest = blake2b(content, digest_size=HASH_BYTES, key=key).digest()
            drawn = (int.from_bytes(digest, "big") + 0.5) / RANGE
            cost = -math.log(drawn) * weight
            if cost < lowest:
                lowest, picked = cost, arm
        return picked

    def _content(self, row: Mapping[str, Any]) -> bytes:
        values = [row.get(name) for name in self._unit]
        if all(value is None for value in values):
            values = [row.get(name) for name in self._otherwise]
        # The length in front of each part: no two different lists of values give the same bytes.
        parts = [_as_bytes(value) for value in values]
        return b"".join([b"%d:%s" % (len(part), part) for part in parts])


def _key(salt: str, arm: Arm) -> bytes:
    """The arm's own hash key: by version and digest, not by role, so that the units which meet a
    challenger first are others at each release.
    """
    text = f"{salt}\0{arm.version}\0{arm.model.digest}"
    return blake2b(text.encode(), digest_size=32).digest()


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, datetime):
        return repr(value.timestamp()).encode()
    return repr(value).encode()
