from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.errors import DataError
from include.evaluation.attributions import attribution_summary, contributions
from include.evaluation.baselines import baseline_metrics, simple_model
from include.evaluation.evaluate import evaluate, labels_of, metric_names
from include.problems.binary import CERTAINTY, last_value
from include.problems.registry import strategy_of
from include.spec import Slice
from include.stats.metrics import log_loss, roc_auc
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return fitted_package(tmp_path_factory.mktemp("model") / "package", parcels())[1]


@pytest.fixture(scope="module")
def evaluation(model):
    return evaluate(
        USE_CASE,
        model,
        {"train": parcels(), "test": parcels(900, seed=4), "golden": parcels(400, seed=8)},
    )


def test_the_last_value_is_the_declared_input_with_the_base_rate_where_it_is_missing(model):
    frame = parcels(200, seed=3)
    matrix = model.transform.apply_frame(frame)
    found = last_value(USE_CASE, model.transform, matrix, 0.3)
    expected = np.clip(
        frame["depot_daily__load"].fill_null(0.3).to_numpy(), CERTAINTY, 1 - CERTAINTY
    )
    assert found == pytest.approx(expected, abs=1e-6)
    with pytest.raises(DataError, match="baseline_input"):
        last_value(
            USE_CASE.model_copy(update={"baseline_input": None}), model.transform, matrix, 0.3
        )


def test_without_a_declared_input_the_newest_training_rows_are_the_last_value(model):
    matrix = model.transform.apply_frame(parcels(20, seed=3))
    undeclared = strategy_of(USE_CASE.model_copy(update={"baseline_input": None}))
    newest = np.array([1] * 500 + [0] * 750 + [1] * 250)
    rates = undeclared.last_value(model.transform, matrix, model.metadata, newest)
    assert rates.tolist() == [0.25] * 20
    certain = undeclared.last_value(model.transform, matrix, model.metadata, newest[:500])
    assert certain.tolist() == [1 - CERTAINTY] * 20
    assert undeclared.last_value(model.transform, matrix, model.metadata, newest[:0]) is None


def test_the_simple_model_learns_and_takes_missing_and_unseen_values(model):
    train, test = parcels(2000), parcels(900, seed=4)
    test = test.with_columns(
        depot=pl.when(pl.int_range(pl.len()) < 50).then(pl.lit("moon")).otherwise(pl.col("depot"))
    )
    matrices = [model.transform.apply_frame(frame) for frame in (train, test)]
    scores = simple_model(
        model.transform,
        matrices[0],
        labels_of(USE_CASE, train),
        {"test": matrices[1]},
        strategy_of(USE_CASE),
        seed=1,
    )["test"]
    assert np.isfinite(scores).all()
    assert roc_auc(labels_of(USE_CASE, test), scores) > 0.65


def test_metrics_of_baselines_and_intervals_are_flat_and_named(evaluation, model):
    metrics = metric_names(evaluation)
    test = parcels(900, seed=4)
    labels = labels_of(USE_CASE, test)
    expected = log_loss(
        labels,
        last_value(
            USE_CASE, model.transform, model.transform.apply_frame(test), model.metadata.base_rate
        ),
    )
    assert metrics["test.baseline.last_value.logloss"] == pytest.approx(expected)
    difference = metrics["test.logloss"] - metrics["test.baseline.simple.logloss"]
    assert metrics["test.baseline.simple.deficit"] == pytest.approx(difference)
    assert metrics["test.baseline.simple.deficit.low"] < difference
    assert difference < metrics["test.baseline.simple.deficit.high"]
    assert metrics["test.logloss"] < metrics["test.baseline.simple.logloss"] + 0.02
    assert {
        "golden.baseline.simple.auc",
        "golden.baseline.logloss",
        "golden.auc",
        "golden.brier.low",
    } <= set(metrics)
    for name in ("test.auc", "test.logloss", "test.slice.depot.west.brier", "golden.logloss"):
        assert metrics[f"{name}.low"] < metrics[name] < metrics[f"{name}.high"]
    assert not any(name.startswith("train") and name.endswith(".low") for name in metrics)


def deficit_of(model, worse: float, rows: int) -> dict[str, float]:
    """The deficit of a model whose log odds are so much too extreme, on so many rows."""
    test = parcels(rows, seed=4)
    frames = {"train": parcels(), "test": test}
    matrices = {name: model.transform.apply_frame(frame) for name, frame in frames.items()}
    labels = {name: labels_of(USE_CASE, frame) for name, frame in frames.items()}
    simple = simple_model(
        model.transform,
        matrices["train"],
        labels["train"],
        {"test": matrices["test"]},
        strategy_of(USE_CASE),
        seed=USE_CASE.training.seed,
    )["test"]
    noise = np.random.default_rng(5).normal(0.0, worse, rows)
    scores = 1.0 / (1.0 + np.exp(-(np.log(simple / (1.0 - simple)) + noise)))
    metrics = baseline_metrics(
        USE_CASE,
        model.transform,
        matrices,
        labels,
        model.metadata,
        scores={**labels, "test": scores},
        days={name: np.arange(frame.height) // 5 for name, frame in frames.items()},
    )
    return metrics["simple"]["test"]


def test_few_rows_cannot_tell_a_model_from_the_simple_one_and_a_plainly_worse_one_they_can(model):
    alike, worse = deficit_of(model, 0.1, 275), deficit_of(model, 2.0, 275)
    assert alike["deficit.low"] <= 0.0 < alike["deficit.high"]
    assert 0.0 < worse["deficit.low"] < worse["deficit"] < worse["deficit.high"]


def test_contributions_and_bias_sum_to_the_log_odds_and_name_what_matters(model, evaluation):
    matrix = model.transform.apply_frame(parcels(300, seed=4))
    scores = model.score_matrix(matrix)
    assert contributions(model, matrix).sum(axis=1) == pytest.approx(
        np.log(scores / (1 - scores)), abs=1e-4
    )
    summary = attribution_summary(model, matrix, rows=100)
    assert summary[0]["input"] == "load"
    assert sum(float(row["share"]) for row in summary) == pytest.approx(1.0)
    assert evaluation["attributions"][0]["input"] == "load"


def test_a_crossing_of_two_slices_has_one_part_per_pair_of_values(model):
    crossed = Slice(column="depot", crossed_with="pickup_hour", minimum_rows=5)
    frame = parcels(2000, seed=2)
    parts = evaluate(USE_CASE.model_copy(update={"slices": (crossed,)}), model, {"test": frame})[
        "slices"
    ]
    assert crossed.name == "depot_x_pickup_hour"
    assert len(parts) == 3 * 24
    assert sum(part["metrics"]["n"] for part in parts) == 2000
    assert {part["column"] for part in parts} == {"depot_x_pickup_hour"}
    assert any(part["value"] == "west_x_13" for part in parts)
