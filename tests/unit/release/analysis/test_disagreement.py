import pytest

from include.release.analysis.disagreement import disagreement
from include.release.analysis.observed import Paired
from include.spec import Shadow
from tests.unit.release.analysis.windows import case, challenger, champion, one

STRATEGY = Shadow(minimum_rows=1000)


def mirrored(rows, different, **analysis):
    return case(
        champion(rows, 1.0),
        challenger(rows, 0.0, role="shadow"),
        strategy=STRATEGY,
        paired=Paired(rows, different, 0.03),
        analysis=analysis,
    )


@pytest.mark.parametrize(
    ("rows", "different", "outcome"),
    [
        (2000, 200, "passed"),
        (2000, 600, "refused"),
        (1000, 210, "not judged"),
        (900, 0, "not judged"),
    ],
)
def test_the_share_of_other_decisions_is_held_against_its_limit(rows, different, outcome):
    finding = one(disagreement(mirrored(rows, different, max_disagreement=0.2)))
    assert finding.outcome == outcome


def test_it_says_how_far_the_scores_are_apart():
    assert "differ by 0.03 on average" in one(disagreement(mirrored(2000, 200))).reason


def test_without_a_shadow_there_are_no_pairs():
    assert disagreement(case()) == []
