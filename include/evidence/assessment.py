"""Which requirement has its evidence: computed from what was collected, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.errors import EvidenceError
from include.evidence.records import Evidence, Lack, State
from include.evidence.requirements import KINDS, REQUIREMENTS, Requirement
from include.verdict import Finding

BEYOND = "no store of Flightdeck holds it: add it beside this archive"


@dataclass(frozen=True)
class Assessed:
    """A requirement, its state, per kind of evidence what is missing, and what the findings say."""

    requirement: Requirement
    state: State
    lacks: tuple[tuple[str, Lack], ...]
    findings: tuple[Finding, ...]

    def as_json(self, evidence: Mapping[str, Evidence]) -> dict[str, Any]:
        """For programs."""
        return {
            "framework": self.requirement.framework,
            "clause": self.requirement.clause,
            "title": self.requirement.title,
            "state": self.state,
            "evidence": {kind: evidence[kind].state for kind in self.requirement.kinds},
            "missing": [{"kind": kind, **lack.as_json()} for kind, lack in self.lacks],
            "findings": [item.reason for item in self.findings],
        }


@dataclass(frozen=True)
class Assessment:
    """All evidence by its kind, and the requirements in the order of the table."""

    evidence: Mapping[str, Evidence]
    requirements: tuple[Assessed, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What an auditor must see first."""
        return tuple(item for part in self.evidence.values() for item in part.findings)

    def as_json(self) -> dict[str, Any]:
        """For programs: findings, requirements, and every kind of evidence."""
        return {
            "findings": [item.model_dump(mode="json") for item in self.findings],
            "requirements": [item.as_json(self.evidence) for item in self.requirements],
            "evidence": {
                kind: {
                    "title": KINDS[kind],
                    "state": part.state,
                    "facts": list(part.facts),
                    "missing": [lack.as_json() for lack in part.lacks],
                    "files": [file.name for file in part.files],
                    "left_out": [item.as_json() for item in part.withheld],
                }
                for kind, part in self.evidence.items()
            },
        }


def assess(
    collected: Iterable[Evidence], requirements: Sequence[Requirement] = REQUIREMENTS
) -> Assessment:
    """The state of every requirement.

    Raises `EvidenceError` where a kind was collected twice or not at all: what nobody looked for
    must not read like what is not there.
    """
    parts = list(collected)
    kinds = [part.kind for part in parts]
    wrong = sorted({*(kind for kind in kinds if kinds.count(kind) > 1), *(KINDS.keys() ^ {*kinds})})
    if wrong:
        raise EvidenceError(
            f"Kinds of evidence {wrong} must be collected once each; valid: {list(KINDS)}."
        )
    by_kind = {part.kind: part for part in parts}
    ordered = {kind: by_kind[kind] for kind in KINDS}
    return Assessment(ordered, tuple(_assessed(item, ordered) for item in requirements))


def state_of(states: Sequence[State], beyond: str) -> State:
    """Missing where all are; present where all are and nothing lies beyond; else partly."""
    if all(state == "missing" for state in states):
        return "missing"
    whole = all(state == "present" for state in states) and not beyond
    return "present" if whole else "partly"


def _assessed(requirement: Requirement, evidence: Mapping[str, Evidence]) -> Assessed:
    parts = [evidence[kind] for kind in requirement.kinds]
    lacks = [(part.kind, lack) for part in parts for lack in part.lacks]
    findings = tuple(item for part in parts for item in part.findings)
    if requirement.beyond:
        lacks.append(("", Lack(requirement.beyond, BEYOND)))
    state = state_of([part.state for part in parts], requirement.beyond)
    return Assessed(requirement, state, tuple(lacks), findings)
