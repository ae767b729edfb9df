"""Metrics, losses and intervals of several classes and of a regression against scikit-learn's;
labels that are not valid are refused.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference

from include.errors import DataError
from include.problems.registry import strategy_of
from include.spec import Label
from tests.unit.problems.problem_cases import CLASSES, PROBLEMS, use_case

RANDOM = np.random.default_rng(5)
ROWS = 600
DAYS = np.repeat(np.arange(20), ROWS // 20)


def three_classes():
    labels = RANDOM.integers(0, 3, ROWS)
    logits = RANDOM.normal(size=(ROWS, 3)) + 1.5 * np.eye(3)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return strategy_of(use_case("multiclass")), labels, scores


def values():
    labels = RANDOM.normal(10.0, 5.0, ROWS)
    return strategy_of(use_case("regression")), labels, labels + RANDOM.normal(1.0, 2.0, ROWS)


def test_metrics_of_several_classes_are_those_of_scikit_learn():
    problem, labels, scores = three_classes()
    found = problem.summary(labels, scores)
    assert found["logloss"] == pytest.approx(reference.log_loss(labels, scores))
    assert found["auc"] == pytest.approx(reference.roc_auc_score(labels, scores, multi_class="ovr"))
    assert found["accuracy"] == pytest.approx(
        reference.accuracy_score(labels, scores.argmax(axis=1))
    )
    assert found["balanced_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(labels, scores.argmax(axis=1))
    )
    assert found["brier"] == pytest.approx(((scores - np.eye(3)[labels]) ** 2).sum(axis=1).mean())
    assert found["class.late.recall"] == pytest.approx(
        reference.recall_score(labels, scores.argmax(axis=1), average=None)[2]
    )
    assert problem.losses(labels, scores).mean() == pytest.approx(found["logloss"])


def test_metrics_of_a_regression_are_those_of_scikit_learn():
    problem, labels, scores = values()
    found = problem.summary(labels, scores)
    assert found["rmse"] == pytest.approx(reference.root_mean_squared_error(labels, scores))
    assert found["mae"] == pytest.approx(reference.mean_absolute_error(labels, scores))
    assert found["r2"] == pytest.approx(reference.r2_score(labels, scores))
    assert found["bias"] == pytest.approx((scores - labels).mean())
    assert problem.losses(labels, scores).mean() / problem.loss_unit(labels) == pytest.approx(
        1.0 - found["r2"]
    )


def test_over_confident_probabilities_have_a_calibration_error():
    problem, labels, scores = three_classes()
    sharp = scores**4 / (scores**4).sum(axis=1, keepdims=True)
    assert problem.summary(labels, sharp)["ece"] > problem.summary(labels, scores)["ece"] + 0.05


def test_a_decile_that_is_always_too_high_shows_although_the_mean_error_is_zero():
    problem, labels, _ = values()
    scores = labels + 5.0 * np.where(labels > np.median(labels), 1.0, -1.0)
    found = problem.summary(labels, scores)
    assert abs(found["bias"]) < 0.1
    assert found["decile_error"] == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("made", [three_classes, values])
def test_intervals_hold_the_metric(made):
    problem, labels, scores = made()
    found = problem.summary(labels, scores)
    intervals = problem.intervals(labels, scores, DAYS, seed=1)
    assert len(intervals) == 5
    for name, interval in intervals.items():
        assert interval.low <= found[name] < interval.high
    assert problem.intervals(labels, scores, np.zeros(ROWS), seed=1) == {}


def test_a_metric_that_is_not_defined_is_left_out():
    problem, labels, scores = three_classes()
    assert "auc" not in problem.summary(np.minimum(labels, 1), scores)
    regression, values_, predicted = values()
    assert "r2" not in regression.summary(np.zeros(ROWS), predicted)
    assert values_.std() > 0


def test_labels_are_class_numbers_by_name_or_by_bounds():
    by_name = strategy_of(use_case("multiclass"))
    frame = pl.DataFrame({"outcome": ["late", "early", "on_time"], "minutes": [15.0, 15.1, -3.0]})
    assert by_name.labels(frame).tolist() == [2, 0, 1]
    cut = use_case("multiclass").model_copy(
        update={
            "label": Label(column="minutes", description=""),
            "problem": PROBLEMS["multiclass"].model_copy(update={"bounds": (0.0, 15.0)}),
        }
    )
    assert strategy_of(cut).labels(frame).tolist() == [1, 2, 0]


WRONG = [("outcome", "lost"), ("outcome", None), ("minutes", float("inf")), ("minutes", None)]


@pytest.mark.parametrize(("column", "wrong"), WRONG)
def test_a_label_that_is_not_valid_is_named(column, wrong):
    problem, good = ("multiclass", "late") if column == "outcome" else ("regression", 1.0)
    with pytest.raises(DataError, match="1 labels in column"):
        strategy_of(use_case(problem)).labels(pl.DataFrame({column: [good, wrong]}))


@pytest.mark.parametrize(
    "scores",
    [
        np.full((3, 2), 0.5),
        np.full((3, 3), 0.5),
        np.array([[1.2, -0.1, -0.1]] * 3),
        np.full((3, 3), np.nan),
    ],
    ids=str,
)
def test_scores_that_are_no_probabilities_of_the_classes_are_refused(scores):
    with pytest.raises(DataError):
        strategy_of(use_case("multiclass")).summary(np.array([0, 1, 2]), scores)


def test_a_table_of_predictions_gives_the_metrics_that_one_probability_a_row_tells():
    problem, labels, scores = three_classes()
    predicted = np.array(CLASSES)[scores.argmax(axis=1)]
    found = problem.table_summary(
        pl.DataFrame({"label": labels, "score": scores.max(axis=1), "predicted_class": predicted})
    )
    whole = problem.summary(labels, scores)
    assert found == pytest.approx({name: whole[name] for name in found})
    assert {
        "accuracy",
        "ece",
        "mean_score",
        "class.early.share",
        "class.late.recall",
    } <= found.keys()


def logged(scores, decisions=None, predicted=None):
    """The columns of the inference log that versions are compared by."""
    count = len(scores)
    return pl.DataFrame(
        {
            "score": scores,
            "decision": decisions or [False] * count,
            "predicted_class": predicted or ["late"] * count,
        }
    )


@pytest.mark.parametrize(
    ("problem", "second", "different"),
    [
        ("binary", logged([0.5, 0.5], [True, False]), [True, False]),
        ("multiclass", logged([0.5, 0.5], predicted=["early", "late"]), [True, False]),
        ("regression", logged([0.5, 1.0]), [True, False]),
    ],
)
def test_versions_differ_where_they_decide_otherwise(problem, second, different):
    strategy = strategy_of(use_case(problem))
    assert strategy.are_different(logged([0.0, 1.0]), second).tolist() == different


def test_the_loss_of_a_logged_row_is_what_its_label_makes_of_it():
    labelled = logged([0.2, 0.9], predicted=["early", "late"])
    labelled = labelled.with_columns(label=pl.Series([0, 1]))
    for problem in ("binary", "regression"):
        losses = strategy_of(use_case(problem)).row_losses(labelled)
        assert losses.tolist() == pytest.approx([0.04, 0.01])
    assert strategy_of(use_case("multiclass")).row_losses(labelled).tolist() == [0.0, 1.0]
