"""One row of the ledger: its fields, its canonical form, its hash, and what makes it one of a
kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import rfc8785

from include.errors import LateStep

Event = Literal[
    "registered",
    "requested",
    "approved",
    "rejected",
    "traffic",
    "verdict",
    "promoted",
    "rolled_back",
    "override",
    "repaired",
    "review_requested",
    "reviewed",
    "review_refused",
    "erased",
]
# What changes who answers: only these order releases among each other.
DECIDING = ("traffic", "promoted", "rolled_back")
GENESIS = "0" * 64
# The evidence of a row that was migrated names the hash that it had.
FORMER_HASH = "former_hash"
SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True)
class Entry:
    """One row.

    `recorded_at` is UTC; `previous` is the hash of row `number - 1` (64 zeros for the first),
    `hash` the SHA-256 of the canonical JSON of all fields before it, `signature` the Ed25519
    signature of that hash in hexadecimal.
    """

    number: int
    recorded_at: datetime
    event: str
    use_case: str
    version: int
    digest: str
    actor: str
    reason: str
    evidence: dict[str, Any]
    previous: str
    hash: str = ""
    signature: str = ""

    @property
    def run(self) -> str | None:
        """The run that wrote it, `process/run id`; `None` where a command did."""
        return run_name(self.evidence)

    @property
    def once(self) -> str | None:
        """What no second row may share: run, event, version and step; `None` without a run.

        A run that writes several rows of one event about one version tells them apart by
        `evidence["step"]`.
        """
        if self.run is None or FORMER_HASH in self.evidence:
            return None
        step = self.evidence.get("step", "")
        parts = [self.use_case, self.event, self.version, self.digest, self.run, step]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def content(self) -> dict[str, Any]:
        """What the hash covers, as plain JSON."""
        fields = asdict(self)
        del fields["hash"], fields["signature"]
        return {**fields, "recorded_at": self.recorded_at.isoformat()}

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**self.content(), "hash": self.hash, "signature": self.signature}

    def computed_hash(self) -> str:
        """The hash that belongs to the fields as they are."""
        return hashlib.sha256(rfc8785.dumps(self.content())).hexdigest()


def entry_of(content: Mapping[str, Any]) -> Entry:
    """Build a row from what `as_json` gave; raises `ValueError`, `KeyError` or `TypeError`."""
    moment = datetime.fromisoformat(content["recorded_at"])
    return Entry(**{**content, "recorded_at": moment})


def now() -> datetime:
    """The moment of a new row."""
    return datetime.now(UTC)


def canonical(evidence: Mapping[str, Any]) -> str:
    """Evidence as canonical JSON (RFC 8785), which is the same after it was read back.

    Raises `ValueError` for what JSON cannot hold, such as NaN.
    """
    return rfc8785.dumps(dict(evidence)).decode()


def parsed(text: str) -> dict[str, Any]:
    """Evidence from its canonical JSON; `ValueError` where it is none."""
    content = json.loads(text, parse_int=_number)
    if not isinstance(content, dict):
        raise ValueError("evidence must be a JSON object")  # noqa: TRY004  # as all else that is no JSON
    return content


def run_name(evidence: Mapping[str, Any]) -> str | None:
    """`process/run id` of evidence that holds `{"run": RunInfo.as_json()}`."""
    run = evidence.get("run")
    if not isinstance(run, Mapping) or not run.get("run_id"):
        return None
    return f"{run.get('process', '')}/{run['run_id']}"


def same_or_late(newer: Entry, version: int, digest: str) -> Entry:
    """The newer row if it promotes this very version; raises `LateStep` otherwise."""
    if newer.event == "promoted" and (newer.version, newer.digest) == (version, digest):
        return newer
    what = {
        "promoted": f"version {newer.version} was promoted",
        "traffic": f"the traffic was changed for version {newer.version}",
        "rolled_back": f"version {newer.version} was rolled back",
    }[newer.event]
    raise LateStep(
        f"The release of version {version} of {newer.use_case} is late: {what} since it was"
        f" selected (row {newer.number} of the ledger, by {newer.actor})."
        " Start a new deployment if this version should serve."
    )


def _number(text: str) -> int | float:
    """A whole number beyond what JSON holds exactly was written from a float."""
    number = int(text)
    return number if abs(number) <= SAFE_INTEGER else float(text)
