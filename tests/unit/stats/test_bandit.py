import numpy as np
import pytest

from include.stats.bandit import Posterior, better_probability, posterior, share


def test_the_probability_is_that_of_drawn_means():
    first, second = Posterior(30, 70), Posterior(20, 80)
    generator = np.random.default_rng(0)
    drawn = generator.beta(31, 71, 200_000) > generator.beta(21, 81, 200_000)
    assert better_probability(first, second) == pytest.approx(drawn.mean(), abs=0.005)
    assert better_probability(second, first) == pytest.approx(1 - drawn.mean(), abs=0.005)


def test_nothing_known_is_a_half_and_the_same_numbers_give_the_same():
    assert better_probability(Posterior(0, 0), Posterior(0, 0)) == pytest.approx(0.5, abs=1e-3)
    twice = {better_probability(Posterior(3, 9), Posterior(5, 5)) for _ in range(2)}
    assert len(twice) == 1


def test_rewards_of_any_range_count_as_shares_of_a_success():
    assert posterior(100, 0.3, 0.0, 1.0) == Posterior(30.0, 70.0)
    assert posterior(100, 5.0, -10.0, 10.0) == Posterior(75.0, 25.0)
    assert posterior(100, 2.0, 2.0, 2.0) == Posterior(50.0, 50.0)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 0.1), (0.4, 0.4), (1.0, 0.9)])
def test_each_version_has_at_least_the_floor(probability, expected):
    assert share(probability, 0.1) == pytest.approx(expected)


def test_a_bandit_sends_most_traffic_to_the_better_one_and_finds_a_late_starter():
    """Rewards mature 200 answers late; only matured ones are counted."""
    generator, means, delay, floor = np.random.default_rng(5), (0.2, 0.3), 200, 0.05
    arms, rewards = [], []
    for turn in range(6000):
        known = slice(0, max(turn - delay, 0))
        if turn % 200 == 0:
            done = np.array(arms[known], dtype=np.int64), np.array(rewards[known])
            parts = [done[1][done[0] == arm] for arm in (0, 1)]
            both = [posterior(len(p), float(p.mean()) if len(p) else 0.0, 0.0, 1.0) for p in parts]
            current = share(better_probability(both[1], both[0]), floor)
        arm = int(generator.random() < current)
        arms.append(arm)
        rewards.append(float(generator.random() < means[arm]))
    assert current == pytest.approx(1 - floor)
    assert np.mean(arms) > 0.75
