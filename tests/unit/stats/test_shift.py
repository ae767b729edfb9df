"""Which kind of change: planted ones are named rightly, and the parts of the loss add up."""

from dataclasses import replace

import numpy as np
import pytest

from include.monitoring.checks.base import Side
from include.stats.domain import separate
from include.stats.shift import Labelled, name_kind, prior_step, split_change
from include.stats.two_samples import Sample
from proofs.bench.monitoring.labelled import CHANGES, STEADY, World, draw


def sides(world: World, seed: int) -> tuple[Labelled, Labelled, float]:
    random = np.random.default_rng(seed)
    serving, reference = draw(world, 3_000, random), draw(STEADY, 5_000, random)
    separation = separate(serving.sample, reference.sample, seed=seed)
    cut = serving.rows
    return (
        labelled(serving, separation.probability[:cut]),
        labelled(reference, separation.probability[cut:]),
        separation.p,
    )


def labelled(side: Side, chance: np.ndarray) -> Labelled:
    return Labelled(side.scores, side.labels, chance, np.arange(side.rows))


@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_change_is_named(change):
    kind, world = CHANGES[change]
    named = []
    for seed in range(3):
        serving, reference, domain_p = sides(world, seed)
        named.append(name_kind(serving, reference, domain_p=domain_p, level=0.01))
    assert named.count(kind) >= 2, named


def test_both_at_once_are_named_both():
    world = World(shift=np.array([0.0, 0.0, 0.5, 0.0, 0.0]), relation=-STEADY.relation)
    serving, reference, domain_p = sides(world, 1)
    assert name_kind(serving, reference, domain_p=domain_p, level=0.01) == "covariate and concept"


def test_the_parts_add_up_and_lie_where_the_change_is():
    for change, part in (("a turned relation", "concept"), ("an input that matters", "covariate")):
        serving, reference, _ = sides(CHANGES[change][1], 1)
        split = split_change(serving, reference)
        assert split.covariate.value + split.concept.value == pytest.approx(split.whole.value)
        parts = {"concept": split.concept, "covariate": split.covariate}
        assert parts.pop(part).p < 0.01
        ((_, other),) = parts.items()
        assert abs(other.value) < 3.5 * other.error


def test_rows_that_share_a_cause_make_a_change_less_sure():
    serving, reference, _ = sides(STEADY, 1)
    blocks = [
        replace(side, blocks=np.arange(len(side.scores)) // 500) for side in (serving, reference)
    ]
    ordered = [replace(side, labels=np.sort(side.labels)) for side in blocks]
    alone = [replace(side, blocks=np.arange(len(side.scores))) for side in ordered]
    assert prior_step(*ordered).error > 3.0 * prior_step(*alone).error


def test_a_domain_classifier_tells_nothing_of_the_same_rows_and_correlations_where_they_change():
    random = np.random.default_rng(7)
    same = [
        Sample({"a": random.normal(size=2_000), "b": random.normal(size=2_000)}, frozenset())
        for _ in range(2)
    ]
    assert separate(*same, seed=1).p > 0.01
    shared = random.normal(size=2_000)
    tied = Sample(
        {name: (shared + random.normal(size=2_000)) / np.sqrt(2) for name in "ab"}, frozenset()
    )
    assert separate(tied, same[1], seed=1).p < 1e-6


def test_blocks_keep_the_domain_classifier_from_crying_wolf():
    hits = {"rows": 0, "blocks": 0}
    for seed in range(12):
        random = np.random.default_rng(seed)
        made = []
        for _ in range(2):
            values = np.repeat(random.normal(size=(20, 3)), 50, axis=0)
            values = values + 0.5 * random.normal(size=values.shape)
            columns = {str(place): values[:, place] for place in range(3)}
            made.append(Sample(columns, frozenset(), np.arange(1_000) // 50))
        plain = [Sample(side.columns, side.categories) for side in made]
        hits["rows"] += separate(*plain, seed=seed).p < 0.01
        hits["blocks"] += separate(*made, seed=seed).p < 0.01
    assert hits["rows"] > 6
    assert hits["blocks"] <= 1
