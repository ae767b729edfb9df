"""Releasing a version that its gates refused: a right of its own, which stays visible.

The version carries the tag `decision=refused` in MLflow for ever; what lets it be selected is a row
`override` of the signed ledger about exactly its number and digest, with who and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.release.ledger import Entry, Ledger
from include.verdict import Verdict

GATES = "gates"


def override_gates(
    ledger: Ledger,
    use_case: str,
    version: int,
    digest: str,
    *,
    actor: str,
    reason: str,
    verdict: Verdict,
    evidence: dict[str, Any],
) -> Entry:
    """Record that a person lets a refused version be released; `verdict` is that of its gates."""
    content = {**evidence, "about": GATES, "verdict": verdict.model_dump(mode="json")}
    return ledger.append("override", use_case, version, digest, actor, reason, content)


def gate_override(rows: Sequence[Entry], version: int, digest: str) -> Entry | None:
    """The newest override of the gates of exactly this version and digest; None without one."""
    about = [
        row
        for row in rows
        if row.event == "override"
        and row.evidence.get("about") == GATES
        and (row.version, row.digest) == (version, digest)
    ]
    return about[-1] if about else None
