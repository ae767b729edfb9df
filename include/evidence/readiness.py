"""The ML Test Score of the version: how much of its testing and monitoring is done again and again,
by the records that there are when the evidence is collected.
"""

from __future__ import annotations

from collections.abc import Iterator

from include.evidence.records import Evidence, Lack, json_file, missing
from include.evidence.scope import Scope
from include.ml_test_score.reading import read_records
from include.ml_test_score.rubric import SECTIONS
from include.ml_test_score.score import score_of

KIND = "test_score"


def readiness(scope: Scope) -> Iterator[Evidence]:
    """The one kind. A ledger that does not hold, or no record, is nothing to score by."""
    name, number = scope.use_case.name, scope.version.version
    if scope.record is None or scope.ledger.broken is not None:
        how = f"flightdeck ml-test-score {name} {number}, once record and ledger hold"
        yield missing(KIND, "a training's record and a ledger to score by", how)
        return
    score = score_of(read_records(scope.settings, scope.use_case, number))
    sections = ", ".join(f"{part} {score.section(part):g}" for part in SECTIONS)
    short = sum(test.judgement.points < 1.0 for test in score.tests)
    lack = Lack(
        f"the whole point of {short} of {len(score.tests)} tests",
        f"flightdeck ml-test-score {name} {number} says what would raise each",
    )
    yield Evidence(
        KIND,
        exists=any(test.judgement.points for test in score.tests),
        files=(
            json_file("evaluation/ml-test-score.json", score.as_json(), "computed from records"),
        ),
        facts=(f"Score {score.points:g}, the least of {sections}. {score.meaning}",),
        lacks=(lack,) if short else (),
    )
