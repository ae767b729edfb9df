from include.release.analysis.base import AnalysisInput
from include.release.analysis.exposure import enough_rows, measured_arms
from include.release.analysis.observed import Comparison
from include.spec import Bandit
from tests.unit.release.analysis.windows import (
    case,
    challenger,
    champion,
    one,
    release,
    verdict,
    with_steps,
)


def test_rows_of_a_package_that_the_plan_does_not_name_are_refused():
    """Whoever measures something else than what he releases has measured nothing."""
    finding = one(measured_arms(case(strangers={"e" * 64: 17})))
    assert finding.outcome == "refused"
    assert finding.observed == 17
    assert "eeeeeeeeeeee: 17" in finding.reason
    assert "challenger version 4 (dddddddddddd)" in finding.reason


def test_rows_of_the_named_packages_pass():
    assert one(measured_arms(case())).outcome == "passed"


def test_too_few_rows_are_no_pass_and_no_abort():
    for windows in ((champion(200), challenger(10)), (champion(0), challenger(500))):
        judged = verdict(*windows)
        assert judged.outcome == "inconclusive"
        assert "enough_rows" in {finding.rule for finding in judged.undecided}


def test_of_the_champion_no_more_rows_are_asked_than_its_share_brings():
    assert one(enough_rows(case(champion(60, 0.1), challenger(540, 0.9)))).outcome == "passed"
    assert one(enough_rows(case(champion(40, 0.1), challenger(540, 0.9)))).outcome == "not judged"


def test_a_few_units_prove_nothing_of_the_others():
    finding = one(enough_rows(case(champion(), challenger(units=3))))
    assert finding.outcome == "not judged"
    assert "of 3 units only" in finding.reason
    assert one(enough_rows(case(champion(), challenger(units=None)))).outcome == "passed"


def test_the_plans_of_a_bandit_count_together():
    step = Comparison(champion(700, 0.5), challenger(600, 0.5))
    for steps, outcome in (((step,), "not judged"), ((step, step), "passed")):
        together = AnalysisInput(with_steps(*steps), release(Bandit(minimum_rows=1000)))
        assert one(enough_rows(together)).outcome == outcome
