"""The 28 tests over the records of a version: points by section, and the score, which is the least
of them (section VI of the paper).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.ml_test_score.data import DATA_TESTS
from include.ml_test_score.infrastructure import INFRASTRUCTURE_TESTS
from include.ml_test_score.model import MODEL_TESTS
from include.ml_test_score.monitoring import MONITORING_TESTS
from include.ml_test_score.records import Records
from include.ml_test_score.rubric import SECTIONS, RubricTest, Scored, Section

RUBRIC: tuple[RubricTest, ...] = (
    *DATA_TESTS,
    *MODEL_TESTS,
    *INFRASTRUCTURE_TESTS,
    *MONITORING_TESTS,
)

MEANINGS: tuple[tuple[float, str], ...] = (
    (0.0, "More of a research project than a productionized system."),
    (
        1.0,
        (
            "Not totally untested, but it is worth considering the possibility of serious holes in"
            " reliability."
        ),
    ),
    (
        2.0,
        (
            "There's been first pass at basic productionization, but additional investment may be"
            " needed."
        ),
    ),
    (
        3.0,
        (
            "Reasonably tested, but it's possible that more of those tests and procedures may be"
            " automated."
        ),
    ),
    (
        5.0,
        (
            "Strong levels of automated testing and monitoring, appropriate for mission-critical"
            " systems."
        ),
    ),
)
"""Up to which score what holds, in the words of the paper."""
BEYOND = "Exceptional levels of automated testing and monitoring."


@dataclass(frozen=True)
class Score:
    """What a version scored: each of the 28 tests, in the order of the paper."""

    use_case: str
    version: int
    tests: tuple[Scored, ...]

    def section(self, name: Section) -> float:
        """The points of a section, 0 to 7."""
        return sum(test.judgement.points for test in self.tests if test.section == name)

    @property
    def points(self) -> float:
        """The score: the least of the four sections, for they are all important."""
        return min(self.section(name) for name in SECTIONS)

    @property
    def meaning(self) -> str:
        """What the paper says of such a score."""
        return next((text for most, text in MEANINGS if self.points <= most), BEYOND)

    def as_json(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "use_case": self.use_case,
            "version": self.version,
            "score": self.points,
            "meaning": self.meaning,
            "sections": {name: self.section(name) for name in SECTIONS},
            "tests": [test.as_json() for test in self.tests],
        }


def score_of(records: Records, rubric: Sequence[RubricTest] = RUBRIC) -> Score:
    """Judge the records by every test."""
    tests = (Scored(test.section, test.number, test.title, test.judge(records)) for test in rubric)
    return Score(records.use_case.name, records.version, tuple(tests))
