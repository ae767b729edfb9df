import pytest

from include.release.analysis.scores import scores
from tests.unit.release.analysis.windows import case, challenger, champion, one


def test_the_same_distribution_passes():
    finding = one(scores(case()))
    assert finding.outcome == "passed"
    assert finding.observed == pytest.approx(0.0, abs=0.01)


def test_a_flipped_sign_is_refused_without_a_label():
    flipped = challenger(scores=(50, 100, 150, 200, 0))
    finding = one(scores(case(champion(), flipped)))
    assert finding.outcome == "refused"
    assert finding.observed > finding.limit == 0.5


def test_a_step_over_one_edge_of_a_narrow_afternoon_is_no_other_distribution():
    """All scores lie beside one edge: the index is huge, and nothing has moved far."""
    edges = (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
    beside = champion(scores=(0, 0, 0, 9_500, 0, 0, 0, 0, 0, 0, 0))
    other = challenger(scores=(0, 0, 0, 100, 400, 0, 0, 0, 0, 0, 0))
    finding = one(scores(case(beside, other, score_edges=edges)))
    assert finding.outcome == "passed"
    assert finding.observed > 4.0
    assert "moved by 8 % of the champion's range" in finding.reason
    far = challenger(scores=(0, 0, 0, 0, 0, 0, 0, 0, 400, 100, 0))
    assert one(scores(case(beside, far, score_edges=edges))).outcome == "refused"
    broken = challenger(scores=(0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 400))
    assert one(scores(case(beside, broken, score_edges=edges))).outcome == "refused"


def test_a_modest_shift_of_a_new_model_passes_however_sure_it_is():
    many = case(
        champion(500_000, 0.5, scores=(200_000, 150_000, 100_000, 50_000, 0)),
        challenger(500_000, 0.5, scores=(190_000, 150_000, 105_000, 55_000, 0)),
    )
    assert one(scores(many)).outcome == "passed"


def test_scores_that_are_no_numbers_are_a_shift():
    broken = challenger(scores=(100, 75, 50, 25, 250))
    assert one(scores(case(champion(), broken))).outcome == "refused"


def test_a_large_index_of_a_few_rows_waits():
    few = case(
        champion(950, scores=(380, 285, 190, 95, 0)), challenger(60, scores=(10, 11, 19, 20, 0))
    )
    finding = one(scores(few))
    assert finding.outcome == "not judged"
    assert "chance alone makes" in finding.reason


def test_too_few_scores_are_not_compared():
    assert one(scores(case(champion(), challenger(10)))).outcome == "not judged"
    assert one(scores(case(champion(), challenger(scores=())))).outcome == "not judged"
