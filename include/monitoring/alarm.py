"""The alarm policy: from what was measured to a verdict with its reasons.

A pure function; reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.spec import Monitoring
from include.verdict import Finding, Verdict

SHOWN_PARTS = 5


def policy(limits: Monitoring, findings: Sequence[Finding]) -> dict[str, Any]:
    """`{"alarm", "verdict", "reasons", "not_judged", "findings"}` from the findings of all
    questions; a finding's `subject` is the question (`drift`, `performance`).

    `verdict` names what was found (`none`, `drift`, `performance`, `drift+performance`); `alarm` is
    whether one of them is in `limits.alarm_on`. `reasons` holds a sentence for each finding that
    refuses; `not_judged` one for each question that had too little to be judged: a verdict `none`
    is an all-clear only where it is empty.
    """
    judged = Verdict(findings=tuple(findings))
    kinds = list(dict.fromkeys(finding.subject for finding in judged.refused))
    return {
        "alarm": any(kind in limits.alarm_on for kind in kinds),
        "verdict": "+".join(kinds) or "none",
        "reasons": [reason for kind in kinds for reason in _reasons(judged.refused, kind)],
        "not_judged": [
            f"Not judged: {finding.subject}: {finding.reason}."
            for finding in judged.not_judged
            if not finding.reason.endswith(".")
        ],
        "findings": judged.findings,
    }


def _reasons(refused: Sequence[Finding], kind: str) -> list[str]:
    whole = [item.sentence for item in refused if item.subject == kind and not item.part]
    parts = [item.sentence for item in refused if item.subject == kind and item.part]
    more = len(parts) - SHOWN_PARTS
    shown = [*whole, *parts[:SHOWN_PARTS]]
    return [*shown, f"{more} more inputs are above the limit."] if more > 0 else shown
