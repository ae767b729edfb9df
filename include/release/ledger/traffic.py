"""What a row of the ledger means for the traffic: which versions answer since then, each at which
share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.release.ledger.entries import Entry


@dataclass(frozen=True)
class ServedArm:
    """A version that answers: its role, and its share of the rows (0 to 1; a shadow's is 0)."""

    role: str
    version: int
    digest: str
    share: float


@dataclass(frozen=True)
class Traffic:
    """Who answers since a row of the ledger; nobody where `arms` is empty."""

    arms: tuple[ServedArm, ...]
    entry: Entry

    @property
    def champion(self) -> ServedArm | None:
        """The arm with the role `champion`."""
        return next((arm for arm in self.arms if arm.role == "champion"), None)


def traffic_of(rows: Sequence[Entry]) -> Traffic | None:
    """The traffic after the last of these rows, which are a use case's `traffic`, `promoted` and
    `rolled_back`, oldest first.
    """
    if not rows:
        return None
    entry = rows[-1]
    plan = entry.evidence.get("plan") or {}
    if "arms" in plan:
        arms = [*plan["arms"], *filter(None, [plan.get("shadow")])]
        fields = ("role", "version", "digest", "share")
        return Traffic(tuple(ServedArm(*(arm[name] for name in fields)) for arm in arms), entry)
    # Rows from before the plans say it by their event.
    if entry.event == "promoted":
        return Traffic((_whole(entry.version, entry.digest),), entry)
    back_to = entry.evidence.get("back_to")
    if back_to is None:
        return Traffic((), entry)
    digest = entry.evidence.get("back_to_digest") or _digest_of(rows, back_to)
    return Traffic((_whole(back_to, digest),), entry)


def _whole(version: int, digest: str) -> ServedArm:
    return ServedArm("champion", version, digest, 1.0)


def _digest_of(rows: Sequence[Entry], version: int) -> str:
    """The digest under which the version was promoted last."""
    promoted = (row for row in reversed(rows) if row.event == "promoted")
    return next((row.digest for row in promoted if row.version == version), "")
