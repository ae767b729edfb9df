"""What a test of the rubric is, and what it gives.

A test gives half a point where it was done by hand and the result is on record, a whole one where a
system does it again and again by itself (section I of the paper). Here both need a record of this
very version, or of the use case that it belongs to: that the product could do something gives
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from include.ml_test_score.records import Records

Section = Literal["data", "model", "infrastructure", "monitoring"]
SECTIONS: tuple[Section, ...] = get_args(Section)
TESTS_IN_SECTION = 7
NOTHING, HALF, FULL = 0.0, 0.5, 1.0


@dataclass(frozen=True)
class Judgement:
    """What one test gives: `points` (0, 0.5 or 1), the records behind it, a sentence each, and
    what stands between it and a whole point (empty where nothing does).
    """

    points: float
    evidence: tuple[str, ...] = ()
    lacks: str = ""


def full(*evidence: str) -> Judgement:
    """A whole point, for these records."""
    return Judgement(FULL, evidence)


def half(lacks: str, *evidence: str) -> Judgement:
    """Half a point, for these records, and what a whole one would need."""
    return Judgement(HALF, evidence, lacks)


def nothing(lacks: str, *evidence: str) -> Judgement:
    """No point, and what one would need; `evidence` is what speaks against it."""
    return Judgement(NOTHING, evidence, lacks)


@dataclass(frozen=True)
class RubricTest:
    """One of the 28 tests: its section, its number there, its title in the paper, and what judges
    it.
    """

    section: Section
    number: int
    title: str
    judge: Callable[[Records], Judgement]

    @property
    def name(self) -> str:
        """Such as `data 1`."""
        return f"{self.section} {self.number}"


@dataclass(frozen=True)
class Scored:
    """A test and what it gave."""

    section: Section
    number: int
    title: str
    judgement: Judgement

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        plain = asdict(self)
        return {
            **{name: plain[name] for name in ("section", "number", "title")},
            **plain["judgement"],
        }
