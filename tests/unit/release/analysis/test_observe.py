"""From a log on disk to what both versions did."""

from __future__ import annotations

import os
from datetime import timedelta

import numpy as np
import pytest

from include.errors import ReleaseError
from include.release.analysis.memory_samples import sample_memory
from include.release.analysis.observe import observe
from include.release.analysis.registry import analyse
from include.release.analysis.scores import shift_of
from include.release.followers import Follower, report, this_process
from include.release.plan import one_arm
from include.settings import load_settings
from include.spec import Canary, Release
from tests.unit.release.analysis.logged import (
    START,
    USE_CASE,
    champion_package,
    plan,
    rows,
    write_feedback,
    write_labels,
    write_log,
)

CHALLENGER = "d" * 64
RELEASE = Release(strategy=Canary(minimum_rows=200))


@pytest.fixture
def home(tmp_path):
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


@pytest.fixture
def champion(home):
    return champion_package(home)


def before(champion, count=400):
    """Answers from before the rollout: some of a log that knew no plans."""
    old = rows(count // 2, "champion", 1, None, seed=8, plan=None, arm=None)
    return old, rows(count // 2, "champion", 11, champion, seed=9)


def test_both_arms_are_counted_plan_by_plan(home, champion):
    ten = ["boom"] * 10 + [None] * 90
    digests = [champion] * 10 + [CHALLENGER] * 90
    write_log(
        home,
        *before(champion),
        rows(900, "champion", 12, champion, seed=1),
        rows(100, "challenger", 12, CHALLENGER, 2, fallback=ten, model_digest=digests),
        rows(300, "champion", 13, champion, seed=3),
        rows(200, "challenger", 13, CHALLENGER, seed=4, flags=[["unknown:plane"]] + [[]] * 199),
        rows(50, "champion", 14, champion, seed=5),  # a plan that is none of this rollout
    )
    first, second = plan(12, 0.1, champion), plan(13, 0.4, champion)
    observed = observe(home, USE_CASE, [first, second])
    assert [
        (step.champion.rows, step.challenger.rows, step.challenger.errors, step.share)
        for step in observed.steps
    ] == [(900, 100, 10, pytest.approx(0.1)), (300, 200, 0, pytest.approx(0.4))]
    assert observed.now.challenger.fallbacks == 1
    assert observed.now.challenger.units == 200
    assert sum(observed.steps[0].challenger.scores) == 90  # the other ten scores are the champion's
    assert len(observed.now.champion.scores) == len([0.2, 0.4, 0.6, 0.8]) + 2
    assert observed.strangers == {}
    assert observed.plan == 13
    # Plans of other packages are another rollout's, and one without a challenger compares nothing.
    others = [one_arm(USE_CASE.name, 3, champion, sequence=10), plan(11, 0.1, "f" * 64)]
    assert observe(home, USE_CASE, [*others, first, second]).steps == observed.steps
    # The earlier steps come with their plans: alone, the newest plan is the whole rollout.
    assert len(observe(home, USE_CASE, [second]).steps) == 1


def test_what_is_slow_was_decided_by_the_champion_before(home, champion):
    old, new = before(champion)
    write_log(
        home,
        old,
        new,
        rows(900, "champion", 12, champion, seed=1, latency_ms=1.0),
        rows(100, "challenger", 12, CHALLENGER, seed=2, latency_ms=100.0),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.1, champion)])
    latencies = np.concatenate([old["latency_ms"].to_numpy(), new["latency_ms"].to_numpy()])
    assert observed.slow_ms == pytest.approx(np.quantile(latencies, 0.95))
    assert (observed.now.champion.slow, observed.now.challenger.slow) == (0, 100)
    assert observed.now.challenger.p95_ms == pytest.approx(100.0)


def test_rows_of_another_package_are_named_by_digest(home, champion):
    write_log(
        home,
        *before(champion),
        rows(900, "champion", 12, champion, seed=1),
        rows(100, "challenger", 12, "e" * 64, seed=2),
        rows(7, "champion", 12, None, seed=3),
        rows(5, "challenger", 12, CHALLENGER, seed=4, fallback="boom"),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.1, champion)])
    # A challenger that failed must have been replaced by the champion, not by itself.
    assert observed.strangers == {"e" * 64: 100, "unknown": 7, CHALLENGER: 5}
    assert analyse(RELEASE, observed).outcome == "failed"


def test_slices_are_cut_by_the_champions_own_transformation(home, champion):
    write_log(
        home,
        *before(champion),
        rows(900, "champion", 12, champion, seed=1),
        rows(300, "challenger", 12, CHALLENGER, seed=2),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.25, champion)])
    parts = {part.label: part.steps[0] for part in observed.slices}
    assert parts["origin=JFK"].challenger.rows == 100
    assert parts["origin=JFK"].champion.rows == 300
    assert sum(parts["origin=JFK"].champion.scores) == 300
    assert len(parts) == 3 + 7 + 21


def test_a_damaged_champion_package_is_said_and_keeps_the_step_from_passing(home, champion):
    write_log(
        home,
        *before(champion),
        rows(900, "champion", 12, "f" * 64, seed=1),
        rows(300, "challenger", 12, CHALLENGER, seed=2),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.25, "f" * 64)])
    assert "expected ffffffff" in observed.slices_problem
    assert analyse(RELEASE, observed).outcome == "inconclusive"
    # The bins are those of the answers before, so scores are still compared.
    assert len(observed.now.champion.scores) == 11 or observed.now.champion.scores == ()


def test_a_shadow_is_compared_row_by_row_with_the_answer(home, champion):
    answers = rows(500, "champion", 12, champion, seed=1)
    ids = [f"{name[:12]}8{name[13:]}" for name in answers["prediction_id"].to_list()[:400]]
    decisions = answers["decision"].to_list()[:400]
    decisions[:40] = [not value for value in decisions[:40]]
    shadows = rows(400, "shadow", 12, CHALLENGER, 1, prediction_id=ids, decision=decisions)
    write_log(home, *before(champion), answers, shadows)
    observed = observe(home, USE_CASE, [plan(12, 0.0, champion, shadow=True)])
    assert (observed.paired.rows, observed.paired.different) == (400, 40)
    assert observed.paired.mean_difference == pytest.approx(0.0)
    assert observed.now.share == 0.5
    assert observed.matured == ()


def test_a_shadow_that_missed_rows_is_compared_with_the_answers_to_those_it_scored(home, champion):
    answers = rows(1_000, "champion", 12, champion, seed=1).sort("score")
    scored = answers.head(300)  # of other traffic than the rest
    ids = [f"{name[:12]}8{name[13:]}" for name in scored["prediction_id"].to_list()]
    shadows = rows(
        300, "shadow", 12, CHALLENGER, 1, prediction_id=ids, score=scored["score"].to_list()
    )
    write_log(home, *before(champion), answers, shadows)
    observed = observe(home, USE_CASE, [plan(12, 0.0, champion, shadow=True)])
    assert (observed.now.champion.rows, observed.now.challenger.rows) == (300, 300)
    shift = shift_of(observed.steps, observed.score_edges)
    assert (shift.index, shift.move) == (pytest.approx(0.0), pytest.approx(0.0))


def test_labels_and_rewards_that_are_known_are_attached_to_their_arm(home, champion):
    first = rows(300, "champion", 12, champion, seed=1, score=0.5)
    second = rows(100, "challenger", 12, CHALLENGER, seed=2, score=0.9)
    failed = rows(1, "challenger", 12, champion, seed=3, fallback="boom")
    write_log(home, *before(champion), first, second, failed)
    write_labels(home, {f"1-{i}": i % 2 for i in range(200)} | {f"2-{i}": 1 for i in range(50)})
    told = dict.fromkeys(second["prediction_id"].to_list()[50:60], 1.0)
    write_feedback(home, "label", told, known_at=START)
    # Nothing is known of a flight at the moment of its question.
    observed = observe(home, USE_CASE, [plan(12, 0.25, champion)])
    assert {part.role: part.rows for part in observed.matured}["challenger"] == 50
    write_feedback(home, "label", told)
    observed = observe(home, USE_CASE, [plan(12, 0.25, champion)])
    losses = {part.role: part for part in observed.matured}
    assert (losses["champion"].rows, losses["champion"].mean) == (200, pytest.approx(0.25))
    assert (losses["challenger"].rows, losses["challenger"].mean) == (60, pytest.approx(0.01))
    write_feedback(home, "reward", dict.fromkeys(first["prediction_id"].to_list()[:30], 2.5))
    rewards = list(observe(home, USE_CASE, [plan(12, 0.25, champion)]).matured)
    assert [(p.metric, p.role, p.rows, p.mean) for p in rewards if p.metric == "reward"] == [
        ("reward", "champion", 30, 2.5)
    ]


def test_where_the_champion_answers_nothing_its_rows_before_stand_for_it(home, champion):
    write_log(home, *before(champion), rows(300, "challenger", 12, CHALLENGER, seed=2))
    observed = observe(home, USE_CASE, [plan(12, 1.0, champion)])
    assert not observed.now.concurrent
    assert observed.now.champion.rows == 400
    assert sum(observed.now.champion.scores) == 400


def test_before_the_first_request_there_is_nothing_and_no_error(home, champion):
    observed = observe(home, USE_CASE, [plan(12, 0.25, champion)])
    assert (observed.now.champion.rows, observed.now.challenger.rows) == (0, 0)
    assert analyse(RELEASE, observed).outcome == "inconclusive"


def test_a_plan_of_one_version_has_nothing_to_compare(home, champion):
    with pytest.raises(ReleaseError, match="no challenger beside a champion"):
        observe(home, USE_CASE, [one_arm(USE_CASE.name, 3, champion)])


def test_the_memory_of_living_processes_is_sampled_at_every_look(home):
    process = this_process()
    report(
        home,
        Follower(process=process, use_case=USE_CASE.name, port=1, heartbeat=0.0),
    )
    for look in range(3):
        samples = sample_memory(home, USE_CASE.name, 12, rows=100 * look)
    assert [sample.rows for sample in samples] == [0, 100, 200]
    assert {sample.process for sample in samples} == {f"{process.host}-{os.getpid()}"}
    assert samples[0].resident > 10_000_000
    assert len(sample_memory(home, USE_CASE.name, 15, rows=0)) == 1


def test_the_rows_of_one_unit_are_not_taken_for_independent(home, champion):
    """Thirty aircraft ask forty times each: each shows its own score, and one of them fails."""
    repeated = [f"N{i % 30}" for i in range(1200)]
    scores = np.random.default_rng(5).random(60)
    fixed = {"carrier": "C", "origin": "EWR", "dest": "D"}
    first = rows(
        1200,
        "champion",
        12,
        champion,
        seed=1,
        tailnum=repeated,
        score=[float(scores[i % 30]) for i in range(1200)],
        **fixed,
    )
    broken = [i % 30 == 0 for i in range(1200)]
    second = rows(
        1200,
        "challenger",
        12,
        CHALLENGER,
        seed=2,
        tailnum=[f"M{i % 30}" for i in range(1200)],
        score=[float(scores[30 + i % 30]) for i in range(1200)],
        fallback=["boom" if bad else None for bad in broken],
        model_digest=[champion if bad else CHALLENGER for bad in broken],
        **fixed,
    )
    write_log(home, *before(champion), first, second)
    observed = observe(home, USE_CASE, [plan(12, 0.5, champion)])
    assert observed.now.challenger.errors == 40
    assert observed.now.clustering.errors == pytest.approx(40.0, rel=0.05)
    assert observed.now.clustering.scores > 30
    verdict = analyse(RELEASE, observed)
    findings = {finding.rule: finding for finding in verdict.findings}
    assert findings["errors"].passed
    assert "resemble each other 40 times" in findings["errors"].reason
    assert findings["scores"].outcome == "not judged"
    assert verdict.outcome == "inconclusive"


def test_rows_that_are_units_of_their_own_lose_nothing(home, champion):
    digests = [champion] * 40 + [CHALLENGER] * 260
    boom = ["boom"] * 40 + [None] * 260
    write_log(
        home,
        *before(champion),
        rows(900, "champion", 12, champion, seed=1),
        rows(300, "challenger", 12, CHALLENGER, 2, fallback=boom, model_digest=digests),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.25, champion)])
    assert observed.now.clustering.errors == pytest.approx(1.0)
    assert observed.now.clustering.scores == pytest.approx(1.0)
    assert {finding.rule for finding in analyse(RELEASE, observed).refused} >= {"errors"}


def test_outcomes_of_one_unit_make_the_mean_less_sure(home, champion):
    units = [f"N{i % 20}" for i in range(200)]
    clustered = rows(200, "champion", 12, champion, seed=1, tailnum=units)
    apart = rows(200, "challenger", 12, CHALLENGER, seed=2)
    write_log(home, *before(champion), clustered, apart)
    # Every unit of the champion is rewarded always or never.
    told = {name: float(i % 2) for i, name in enumerate(clustered["prediction_id"].to_list())}
    told |= {name: float(i % 2) for i, name in enumerate(apart["prediction_id"].to_list())}
    write_feedback(home, "reward", told)
    unit = plan(12, 0.5, champion).model_copy(update={"unit": ("tailnum",)})
    parts = {part.role: part for part in observe(home, USE_CASE, [unit]).matured}
    assert parts["challenger"].variance == pytest.approx(0.25)
    assert parts["champion"].variance == pytest.approx(2.5)


def in_seconds(count, each):
    """Moments of `count` rows, `each` in a second."""
    return [START + timedelta(seconds=12_000 + i // each) for i in range(count)]


def test_one_stall_of_the_machine_is_one_event_and_refuses_nobody(home, champion):
    """Twenty requests of one second wait for the same reason, and all fall on the challenger."""
    stalled = [400.0 if 40 <= i < 60 else 3.0 for i in range(400)]
    moments = in_seconds(400, 20)
    write_log(
        home,
        *before(champion),
        rows(400, "champion", 12, champion, seed=1, answered_at=moments, latency_ms=3.0),
        rows(400, "challenger", 12, CHALLENGER, 2, answered_at=moments, latency_ms=stalled),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.5, champion)])
    assert observed.now.challenger.slow == 20
    assert observed.now.clustering.slow == pytest.approx(20.0, rel=0.1)
    latency = next(part for part in analyse(RELEASE, observed).findings if part.rule == "latency")
    assert latency.passed
    assert "rows of one unit or moment resemble each other 20 times" in latency.reason


def test_slow_rows_in_every_second_are_the_challengers_own(home, champion):
    slow = [400.0 if i % 20 == 0 else 3.0 for i in range(400)]
    moments = in_seconds(400, 20)
    write_log(
        home,
        *before(champion),
        rows(400, "champion", 12, champion, seed=1, answered_at=moments, latency_ms=3.0),
        rows(400, "challenger", 12, CHALLENGER, 2, answered_at=moments, latency_ms=slow),
    )
    observed = observe(home, USE_CASE, [plan(12, 0.5, champion)])
    assert observed.now.challenger.slow == 20
    assert observed.now.clustering.slow == pytest.approx(1.0)
    assert "latency" in {finding.rule for finding in analyse(RELEASE, observed).refused}
