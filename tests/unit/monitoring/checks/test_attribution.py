"""Attribution drift: what makes the scores, where no input moves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.evaluation.attributions import attributed
from include.model.package import ScoringModel
from include.monitoring.checks.attribution import attribution
from include.monitoring.checks.base import Attributed, Side, Window
from include.monitoring.checks.distribution import distribution
from include.spec import Monitoring
from include.stats.two_samples import Sample
from tests.unit.model.synthetic import fitted_package, parcels
from tests.unit.monitoring.checks.windows import refused, window

LIMITS = Monitoring(minimum_rows=500)
INPUTS = ("first", "second", "third")
ROWS = 3_000


def product(dependence: float, seed: int, blocks: int = 100) -> tuple[Side, Attributed]:
    """Three normal inputs, of which two depend on each other, and the exact Shapley values of
    `first * second + third` beside independent inputs: both halves of the product.
    """
    random = np.random.default_rng(seed)
    first, other, third = random.normal(size=(3, ROWS))
    second = dependence * first + np.sqrt(1.0 - dependence**2) * other
    half = first * second / 2.0
    of_row = np.arange(ROWS) * blocks // ROWS
    columns = dict(zip(INPUTS, (first, second, third), strict=True))
    side = Side(Sample(columns, frozenset(), of_row))
    return side, Attributed(INPUTS, np.column_stack([half, half, third]), of_row, "shapley")


def beside(dependence: float, seed: int, blocks: int = 100) -> Window:
    served, learned = product(dependence, 2 * seed, blocks), product(0.0, 2 * seed + 1)
    return Window(served[0], learned[0], LIMITS, attributed=(served[1], learned[1]), seed=seed)


def test_a_relation_between_inputs_moves_the_attributions_and_no_input():
    moved = beside(0.5, seed=1)
    assert refused(distribution(moved)) == []
    assert refused(attribution(moved)) == [("contribution", "first"), ("contribution", "second")]
    (first, _, third) = attribution(moved)
    assert first.example["reference_lean"] == pytest.approx(0.0, abs=0.02)
    assert first.example["lean"] > 0.12
    assert third.passed
    assert "first makes" in first.reason
    assert "in training" in first.reason


def test_unmoved_attributions_are_quiet():
    for seed in range(40):
        assert refused(attribution(beside(0.0, seed))) == []


def test_few_blocks_are_sure_of_nothing():
    assert refused(attribution(beside(0.5, seed=1, blocks=2))) == []
    (finding,) = attribution(beside(0.5, seed=1, blocks=1))
    assert (finding.rule, finding.outcome) == ("minimum_blocks", "not judged")


def test_a_change_below_the_limit_does_not_count():
    wide = LIMITS.model_copy(update={"max_attribution_change": 0.5})
    assert refused(attribution(replace(beside(0.5, seed=1), limits=wide))) == []


def test_what_cannot_be_explained_has_no_findings():
    assert attribution(replace(window(), attributed=None)) == []


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ScoringModel:
    return fitted_package(tmp_path_factory.mktemp("package") / "model", parcels())[1]


def test_contributions_are_those_that_make_the_models_scores(model: ScoringModel):
    matrix = model.transform.apply_frame(parcels().head(200))
    values = attributed(model, matrix)
    assert values.shape == (200, len(model.transform.feature_names))
    scores = model.score_matrix(matrix)
    raw = np.log(scores / (1.0 - scores)) - values.sum(axis=1)
    assert np.ptp(raw) < 1e-3  # the base value is the same for all rows
