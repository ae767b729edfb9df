import pytest

from include.release.analysis.outcomes import metric, outcomes
from include.spec import AB, Bandit
from tests.unit.release.analysis.windows import case, matured, one, verdict


@pytest.mark.parametrize(
    ("name", "challenger", "outcome"),
    [
        ("loss", 0.20, "passed"),
        ("loss", 0.10, "passed"),
        ("loss", 0.30, "refused"),
        ("reward", 0.30, "passed"),
        ("reward", 0.10, "refused"),
    ],
)
def test_a_worse_loss_or_reward_refuses_whatever_the_strategy(name, challenger, outcome):
    finding = one(outcomes(case(matured=matured(challenger, 0.2, name))))
    assert finding.outcome == outcome
    assert f"mean {name}" in finding.reason


def test_without_matured_labels_nothing_is_asked_and_nothing_waits():
    assert outcomes(case()) == []
    few = case(matured=matured(0.9, 0.1, rows=20))
    assert one(outcomes(few)).outcome == "not judged"
    assert verdict(matured=matured(0.9, 0.1, rows=20)).outcome == "passed"


@pytest.mark.parametrize(
    ("challenger", "effect", "outcome"),
    [
        (0.10, 0.0, "passed"),  # proved to be better
        (0.20, 0.0, "not judged"),  # the same: neither
        (0.30, 0.0, "refused"),  # proved to be worse
        (0.10, 0.05, "passed"),  # better, and by enough
        (0.20, 0.10, "refused"),  # the effect that is worth it is excluded
        (0.13, 0.10, "not judged"),
    ],
)
def test_an_ab_test_is_decided_by_its_metric(challenger, effect, outcome):
    strategy = AB(metric="loss", minimum_effect=effect)
    finding = one(metric(case(strategy=strategy, matured=matured(challenger, 0.2))))
    assert finding.outcome == outcome


def test_an_ab_test_of_rewards_reads_rewards():
    strategy = AB(metric="reward")
    both = (*matured(0.3, 0.2, "reward"), *matured(0.2, 0.2, "loss"))
    assert one(metric(case(strategy=strategy, matured=both))).part == "reward"
    assert one(outcomes(case(strategy=strategy, matured=both))).part == "loss"


def test_too_few_outcomes_decide_no_ab_test():
    few = case(strategy=AB(minimum_rows=1000), matured=matured(0.01, 0.9, rows=999))
    assert one(metric(few)).outcome == "not judged"
    assert one(metric(case(strategy=AB()))).observed == 0


def test_a_bandit_knows_how_likely_the_challenger_is_the_better_one():
    better = verdict(strategy=Bandit(), matured=matured(0.3, 0.2, "reward"))
    assert better.better_probability > 0.999
    assert better.posteriors["challenger"] == {
        "successes": pytest.approx(600),
        "failures": pytest.approx(1400),
    }
    same = verdict(strategy=Bandit(), matured=matured(0.2, 0.2, "reward"))
    assert same.better_probability == pytest.approx(0.5, abs=0.01)
    assert verdict(strategy=Bandit()).better_probability is None
    assert verdict().better_probability is None
