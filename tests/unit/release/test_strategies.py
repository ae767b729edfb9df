import pytest

from include.release.strategies import next_move, shares_of
from include.spec import AB, Bandit, BlueGreen, Canary, Direct, Shadow
from tests.unit.release.analysis.windows import challenger, champion, matured, verdict

CANARY = Canary(steps=(0.05, 0.5), bake_seconds=60, minimum_rows=500, patience_seconds=600)


def passed(**more):
    return verdict(**more)


def failed(**more):
    return verdict(champion(), challenger(errors=400), **more)


def undecided(**more):
    return verdict(champion(190), challenger(10), **more)


@pytest.mark.parametrize(
    ("judged", "step", "waited", "kind", "share"),
    [
        (passed(), 0, 30, "wait", 0.05),  # it bakes
        (passed(), 0, 60, "advance", 0.5),
        (passed(), 1, 60, "complete", 1.0),
        (failed(), 0, 0, "abort", 0.0),  # at once
        (failed(), 1, 1e9, "abort", 0.0),
        (undecided(), 0, 60, "wait", 0.05),
        (undecided(), 1, 599, "wait", 0.5),
        (undecided(), 1, 600, "hold", 0.5),
    ],
)
def test_a_canary_advances_waits_holds_or_aborts(judged, step, waited, kind, share):
    move = next_move(CANARY, step, judged, waited)
    assert (move.kind, move.challenger_share) == (kind, share)
    assert move.reason


def test_an_abort_says_why_with_figures():
    reason = next_move(CANARY, 0, failed(), 1).reason
    assert "400 of 500 rows of the challenger, 0 of 9,500 rows of the champion" in reason


def test_a_hold_says_what_is_open():
    assert "enough_rows" in next_move(CANARY, 0, undecided(), 1e6).reason


def test_too_few_requests_never_pass_and_never_abort():
    for waited in (0, 59, 60, 599, 600, 1e9):
        assert next_move(CANARY, 0, undecided(), waited).kind in ("wait", "hold")


def test_direct_compares_nothing():
    assert next_move(Direct(), 0, undecided(), 0).kind == "complete"
    assert shares_of(Direct()) == ()


def test_blue_green_watches_for_its_time_and_switches_back_at_once():
    strategy = BlueGreen(switch_back_minutes=10)
    assert shares_of(strategy) == (1.0,)
    assert next_move(strategy, 0, passed(), 599).kind == "wait"
    assert next_move(strategy, 0, passed(), 600).kind == "complete"
    assert next_move(strategy, 0, failed(), 5).kind == "abort"
    assert next_move(strategy, 0, undecided(), 600).kind == "hold"


def test_a_shadow_waits_for_rows_and_takes_no_traffic():
    strategy = Shadow(minutes=10, patience_minutes=100)
    assert next_move(strategy, 0, passed(), 599).challenger_share == 0.0
    assert next_move(strategy, 0, passed(), 600).kind == "complete"
    assert next_move(strategy, 0, undecided(), 600).kind == "wait"
    assert next_move(strategy, 0, undecided(), 6000).kind == "hold"


@pytest.mark.parametrize(
    ("loss", "waited", "kind"),
    [(0.1, 1, "complete"), (0.3, 1, "abort"), (0.2, 1, "wait"), (0.2, 3600 * 400, "hold")],
)
def test_an_ab_test_ends_when_its_metric_is_decided(loss, waited, kind):
    strategy = AB(metric="loss", share=0.5, minimum_rows=500)
    judged = verdict(strategy=strategy, matured=matured(loss, 0.2))
    assert next_move(strategy, 0, judged, waited).kind == kind


def of_rewards(challenger_mean, champion_mean, rows=5000):
    return verdict(
        champion(9_500, 0.5),
        challenger(9_500, 0.5),
        strategy=Bandit(),
        matured=matured(challenger_mean, champion_mean, "reward", rows),
    )


def test_a_bandit_moves_its_shares_with_what_is_known():
    strategy = Bandit(floor=0.1)
    move = next_move(strategy, 0, of_rewards(0.2, 0.2), 1, share=0.3)
    assert move.kind == "advance"
    assert move.challenger_share == pytest.approx(0.5, abs=0.02)
    # The ledger keeps the reason, and so the state that the shares follow from.
    assert "(challenger 1,000.0 of 5,000, champion 1,000.0 of 5,000)" in move.reason
    assert next_move(strategy, 0, of_rewards(0.18, 0.2), 1).challenger_share == pytest.approx(0.1)


def test_a_bandit_ends_by_a_proof_and_not_by_a_posterior_alone():
    strategy = Bandit()
    assert next_move(strategy, 0, of_rewards(0.3, 0.2), 1).kind == "complete"
    assert next_move(strategy, 0, of_rewards(0.1, 0.2), 1).kind == "abort"
    sure = of_rewards(0.22, 0.2)  # a posterior of 99.3 %, looked at again and again
    assert sure.better_probability > strategy.certainty
    assert next_move(strategy, 0, sure, 1).kind == "advance"
    assert next_move(strategy, 0, sure, 3600 * 400, share=0.95).kind == "hold"


def test_a_bandit_without_a_matured_reward_waits():
    move = next_move(Bandit(), 0, verdict(strategy=Bandit()), 1, share=0.3)
    assert (move.kind, move.challenger_share) == ("wait", 0.3)
