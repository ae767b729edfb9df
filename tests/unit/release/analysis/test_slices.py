from include.release.analysis.observed import Comparison, SliceComparison
from include.release.analysis.slices import slices
from tests.unit.release.analysis.windows import case, challenger, champion, one, verdict

FLIPPED = (25, 50, 75, 100, 0)


def part(label, first=None, second=None):
    return SliceComparison(
        label, (Comparison(first or champion(4_750), second or challenger(250)),)
    )


def test_slices_that_are_all_well_are_one_line():
    finding = one(slices(case(slices=(part("origin=EWR"), part("origin=JFK")))))
    assert finding.outcome == "passed"
    assert finding.observed == 2


def test_one_slice_with_wrong_scores_is_refused_by_name():
    wrong = part("origin=JFK", second=challenger(250, scores=FLIPPED))
    finding = one(slices(case(slices=(part("origin=EWR"), wrong))))
    assert finding.outcome == "refused"
    assert (finding.part, finding.metric) == ("origin=JFK", "score_psi")


def test_one_slice_with_errors_is_refused_by_name():
    wrong = part("origin=JFK", second=challenger(250, errors=30))
    finding = one(slices(case(slices=(part("origin=EWR"), wrong))))
    assert finding.outcome == "refused"
    assert (finding.part, finding.metric) == ("origin=JFK", "error_rate")


def test_rare_slices_are_not_judged_and_keep_nothing_from_passing():
    finding = one(slices(case(slices=(part("origin=LGA", champion(300), challenger(15)),))))
    assert (finding.outcome, finding.metric, finding.observed) == ("not judged", "rows", 15)
    assert slices(case()) == []


def test_the_more_slices_the_more_evidence_each_needs():
    wrong = part("origin=JFK", second=challenger(250, errors=6))
    few = slices(case(champion(errors=0), slices=(wrong,)))
    many = slices(case(slices=(wrong, *(part(f"dest={n}") for n in range(2000)))))
    assert [finding.outcome for finding in few] == ["refused"]
    assert [finding.outcome for finding in many] == ["not judged"]


def test_slices_that_cannot_be_cut_keep_a_step_from_passing():
    judged = verdict(slices_problem="the champion's package is gone")
    assert judged.outcome == "inconclusive"
    assert [finding.reason for finding in judged.undecided] == ["the champion's package is gone"]
