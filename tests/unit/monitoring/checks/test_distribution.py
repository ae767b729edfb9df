"""Distribution of inputs: corrected over all, sliding, persistent, seasonal."""

from dataclasses import replace

import numpy as np

from include.monitoring.checks.base import Before, Window
from include.monitoring.checks.distribution import distribution, moved_columns, together
from include.stats.two_samples import Sample
from include.verdict import Finding
from proofs.bench.monitoring.labelled import STEADY, World, draw
from tests.unit.monitoring.checks.windows import LIMITS, refused, window, with_column

SHIFTED = World(shift=np.array([0.4, 0.0, 0.0, 0.0, 0.0]))
SMALL = World(shift=np.array([0.12, 0.0, 0.0, 0.0, 0.0]))


def drifted_columns(findings: list[Finding]) -> set[str]:
    return {item.part for item in findings if (item.example or {}).get("drifted")}


def test_a_shifted_input_is_named_and_no_other():
    """The score is what a shifted input makes of it."""
    named = [("moved_columns", ""), ("moved", "input_0"), ("moved", "score")]
    assert refused(distribution(window(SHIFTED))) == named


def test_undrifted_windows_are_quiet():
    for seed in range(20):
        assert refused(distribution(window(seed=seed))) == []


def test_a_small_change_shows_in_the_windows_together():
    random = np.random.default_rng(2)
    reference = draw(STEADY, 5_000, random)
    parts = [draw(SMALL, 1_500, random) for _ in range(3)]
    alone = Window(parts[-1], reference, LIMITS)
    sliding = replace(alone, earlier=tuple(part.sample for part in parts[:2]))
    assert refused(distribution(alone)) == []
    findings = distribution(sliding)
    assert ("moved", "input_0") in refused(findings)
    named = next(item for item in findings if item.part == "input_0")
    assert "over the last 3 windows together" in named.reason
    assert named.example["windows"] == 3


def test_an_input_refuses_only_when_it_moved_in_enough_of_the_last_windows():
    limits = LIMITS.model_copy(update={"persistent_windows": 2})
    first = replace(window(SHIFTED), limits=limits)
    findings = distribution(first)
    assert refused(findings) == []
    assert moved_columns(findings) == {"input_0", "score"}
    again = replace(first, before=Before(moved=(frozenset(), moved_columns(findings))))
    assert ("moved", "input_0") in refused(distribution(again))
    longer_ago = (frozenset({"input_0"}), frozenset(), frozenset())
    assert refused(distribution(replace(first, before=Before(moved=longer_ago)))) == []


def test_an_input_drifts_when_it_moved_far_in_enough_of_the_last_windows():
    limits = LIMITS.model_copy(update={"drift_effect": 0.1, "persistent_windows": 2})
    first = replace(window(SHIFTED), limits=limits)
    near = replace(first, before=Before(moved=(frozenset({"input_0"}),)))
    findings = distribution(near)
    assert ("moved", "input_0") in refused(findings)
    assert drifted_columns(findings) == set()
    far = replace(near, before=Before(moved=near.before.moved, far=near.before.moved))
    assert drifted_columns(distribution(far)) == {"input_0"}
    wide = replace(far, limits=limits.model_copy(update={"drift_effect": 0.3}))
    assert drifted_columns(distribution(wide)) == set()


def test_of_more_windows_than_there_are_all_count():
    limits = LIMITS.model_copy(update={"sliding_windows": 6, "persistent_windows": 4})
    thrice = Before(moved=(frozenset({"input_0"}),) * 3)
    assert ("moved", "input_0") in refused(
        distribution(replace(window(SHIFTED), limits=limits, before=thrice))
    )


def test_what_moves_as_it_did_a_season_before_is_no_change():
    same_season = draw(SHIFTED, 3_000, np.random.default_rng(9)).sample
    findings = distribution(window(SHIFTED, seasonal=same_season))
    assert ("moved", "input_0") not in refused(findings)
    assert "input_0" not in drifted_columns(findings)
    assert any("a season before" in item.reason for item in findings)
    other_season = draw(STEADY, 3_000, np.random.default_rng(9)).sample
    assert ("moved", "input_0") in refused(distribution(window(SHIFTED, seasonal=other_season)))


def test_a_change_that_is_sure_and_tiny_does_not_count():
    limits = LIMITS.model_copy(update={"minimum_effect": 0.3})
    assert refused(distribution(replace(window(SHIFTED), limits=limits))) == []


def test_too_few_rows_are_not_judged():
    few = replace(window(SHIFTED), limits=LIMITS.model_copy(update={"minimum_rows": 10_000}))
    (finding,) = distribution(few)
    assert (finding.rule, finding.outcome) == ("minimum_rows", "not judged")


def test_too_few_blocks_are_not_judged():
    usual = window(SHIFTED)
    sides = [
        replace(side, sample=Sample(side.sample.columns, frozenset(), np.arange(side.rows) // 1000))
        for side in (usual.serving, usual.reference)
    ]
    (finding,) = distribution(replace(usual, serving=sides[0], reference=sides[1]))
    assert (finding.rule, finding.outcome) == ("minimum_blocks", "not judged")


def test_a_constant_input_that_stays_is_quiet():
    usual = window()
    sides = [
        with_column(side, "same", np.full(side.rows, 7.0))
        for side in (usual.serving, usual.reference)
    ]
    assert refused(distribution(replace(usual, serving=sides[0], reference=sides[1]))) == []


def test_windows_together_keep_their_blocks_from_each_other():
    sample = Sample({"x": np.arange(4.0)}, frozenset(), np.array([5, 5, 6, 6]))
    assert together([sample, sample]).blocks.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
