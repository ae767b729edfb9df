"""The error rates that the tests promise, by simulation; a broken formula fails them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from include.stats import sequential
from include.stats.sequential import (
    Sample,
    dependence_evidence,
    difference_bounds,
    excess_evidence,
    excess_terms,
    largest_rate,
    log_threshold,
    mixed,
    rate_evidence,
)

ALPHA = 0.05
RUNS = 2000
EVENTS = 600


def hits_of(probability, events=EVENTS, runs=RUNS, seed=0):
    """How many of the first 1, 2, ... events lie on the challenger, shape (runs, events)."""
    generator = np.random.default_rng(seed)
    return (generator.random((runs, events)) < probability).cumsum(axis=1)


def ever(evidence, alpha=ALPHA):
    """The share of runs whose evidence ever rejects."""
    return float((evidence >= log_threshold(alpha)).any(axis=1).mean())


def first_event(evidence, alpha=ALPHA):
    """The median number of events until rejection."""
    rejects = evidence >= log_threshold(alpha)
    return float(np.median(np.where(rejects.any(axis=1), rejects.argmax(axis=1) + 1, np.inf)))


COUNTS = np.arange(1, EVENTS + 1)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_identical_arms_are_rejected_rarely_however_often_one_looks(share):
    assert ever(excess_evidence(hits_of(share), COUNTS, share)) <= ALPHA


def test_a_better_challenger_is_rejected_more_rarely_still():
    assert ever(excess_evidence(hits_of(0.06), COUNTS, 0.1)) <= 0.01


@pytest.mark.parametrize("ratio", [2, 5, 20])
def test_a_worse_challenger_is_caught_within_few_events(ratio):
    share = 0.1
    probability = share * ratio / (share * ratio + 1 - share)
    hits = hits_of(probability)
    divergence = probability * math.log(probability / share) + (1 - probability) * math.log(
        (1 - probability) / (1 - share)
    )
    # Nobody who knew the ratio could do better than ln(1 / alpha) / divergence on average.
    assert first_event(excess_evidence(hits, COUNTS, share)) <= 1.7 * max(
        -math.log(ALPHA) / divergence, 2
    )


def test_a_fixed_sample_test_at_every_look_would_break_the_promise():
    """What the e-value is for: the usual z-test, looked at all the time, rejects one in five."""
    hits, share = hits_of(0.5), 0.5
    z = (hits - COUNTS * share) / np.sqrt(COUNTS * share * (1 - share))
    assert float((z[:, 20:] >= 1.645).any(axis=1).mean()) > 4 * ALPHA


@pytest.mark.parametrize("broken", ["weights", "denominator"])
def test_a_broken_mixture_breaks_the_promise(broken, monkeypatch):
    if broken == "weights":
        monkeypatch.setattr(sequential, "WEIGHTS", (7.5, 1.5, 1.0))
        evidence = excess_evidence(hits_of(0.5), COUNTS, 0.5)
    else:  # the share of the champion left out of the normalisation
        evidence = excess_evidence(hits_of(0.5), COUNTS, 0.4)
    assert ever(evidence) > ALPHA


def test_evidence_is_carried_from_step_to_step():
    """Steps of 5, 25 and 50 %: one alpha for all of them together, and nothing is lost."""
    shares = np.repeat([0.05, 0.25, 0.5], EVENTS // 3)
    generator = np.random.default_rng(4)

    def evidence(ratio):
        probability = shares * ratio / (shares * ratio + 1 - shares)
        single = generator.random((RUNS, EVENTS)) < probability
        terms = excess_terms(single, np.ones(EVENTS), shares).cumsum(axis=1)
        return mixed(terms)

    assert ever(evidence(1.0)) <= ALPHA
    assert (evidence(3.0)[:, -1] >= log_threshold(ALPHA)).mean() > 0.99


def test_one_number_and_an_array_give_the_same():
    several = excess_evidence([3, 0], [5, 9], [0.2, 0.5])
    assert several.shape == (2,)
    assert float(excess_evidence(3, 5, 0.2)) == pytest.approx(several[0])
    assert float(excess_evidence(0, 0, 0.2)) == pytest.approx(0.0)


def outcomes(shares_of_arms, rows=400, runs=600, share=0.25, seed=1):
    """Counts of each outcome on the challenger and on both, shape (runs, rows, outcomes)."""
    generator = np.random.default_rng(seed)
    arms = generator.random((runs, rows)) < share
    drawn = np.stack([generator.choice(4, (runs, rows), p=p) for p in shares_of_arms])
    outcome = np.where(arms, drawn[1], drawn[0])
    one_hot = np.eye(4)[outcome]
    return (one_hot * arms[..., None]).cumsum(axis=1), one_hot.cumsum(axis=1)


def test_outcomes_that_do_not_depend_on_the_arm_are_rejected_rarely():
    same = (0.1, 0.2, 0.3, 0.4)
    hits, events = outcomes((same, same))
    assert ever(dependence_evidence(hits, events, 0.25)) <= ALPHA
    hits, events = outcomes((same, same[::-1]))
    turned = dependence_evidence(hits, events, 0.25)
    assert (turned[:, -1] >= log_threshold(ALPHA)).mean() > 0.99


def test_a_rate_at_its_limit_is_rejected_rarely_and_one_above_it_surely():
    for rate in (0.2, 0.1, 0.02):
        assert ever(rate_evidence(hits_of(rate), COUNTS, 0.2)) <= ALPHA
    assert ever(rate_evidence(hits_of(0.3), COUNTS, 0.2)) > 0.95


def test_the_largest_rate_lies_above_the_true_one():
    generator = np.random.default_rng(2)
    bounds = [largest_rate(int(hits), 300, ALPHA) for hits in generator.binomial(300, 0.02, 500)]
    assert np.mean(np.array(bounds) < 0.02) <= ALPHA
    assert largest_rate(300, 300, ALPHA) == 1.0


def covered(difference, *, rows=1500, runs=300, alpha=ALPHA, champion=0.3):
    """Shares of runs whose bounds hold the difference at every look, and whose low end ever lies
    above 0.
    """
    generator, looks = np.random.default_rng(3), range(100, rows + 1, 100)
    covering = above = 0
    for _ in range(runs):
        arms = [generator.random(rows) < rate for rate in (champion + difference, champion)]
        bounds = []
        for look in looks:
            samples = [Sample(look, float(a[:look].mean()), float(a[:look].var())) for a in arms]
            bounds.append(difference_bounds(*samples, alpha=alpha, sharpest=200, spread=1.0))
        covering += all(bound.low <= difference <= bound.high for bound in bounds)
        above += any(bound.low > 0 for bound in bounds)
    return covering / runs, above / runs


def test_the_bounds_of_a_difference_hold_it_at_all_looks():
    coverage, above = covered(0.0)
    assert coverage >= 1 - ALPHA
    assert above <= ALPHA / 2 + 0.01
    coverage, above = covered(0.15)
    assert coverage >= 1 - ALPHA
    assert above > 0.95


def test_outcomes_that_are_all_the_same_are_no_certainty():
    bounds = difference_bounds(
        Sample(50, 0.0, 0.0), Sample(50, 0.0, 0.0), alpha=ALPHA, sharpest=100, spread=1.0
    )
    assert bounds.low < 0.0 < bounds.high
