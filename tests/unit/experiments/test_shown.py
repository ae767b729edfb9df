"""People are shown the metrics of the problem that was trained."""

from __future__ import annotations

import pytest

from include.experiments.shown import best, heading, shown_metrics

RATE = {"test.auc": 0.7, "test.brier": 0.2, "golden.auc": 0.6, "test.auc.low": 0.6}
CLASSES = {"test.auc": 0.8, "test.brier": 0.5, "test.accuracy": 0.7}
NUMBER = {"test.rmse": 12.0, "test.mae": 8.0, "test.r2": 0.4, "golden.rmse": 13.0}


@pytest.mark.parametrize(
    ("trainings", "headings"),
    [
        ([RATE], ["auc", "brier", "golden auc"]),
        ([CLASSES], ["auc", "brier", "accuracy"]),
        ([NUMBER, {}], ["rmse", "mae", "r2", "golden rmse"]),
        ([NUMBER, RATE], ["auc", "brier", "rmse", "mae", "r2", "golden auc", "golden rmse"]),
        ([], ["auc", "brier", "golden auc"]),
    ],
)
def test_the_columns_are_those_of_the_trainings(trainings, headings):
    assert [heading(name) for name in shown_metrics(trainings)] == headings


def test_the_best_is_the_largest_area_or_the_smallest_error():
    assert best([RATE, {"test.auc": 0.9}]) == ("auc", 0.9)
    assert best([NUMBER, {"test.rmse": 20.0}]) == ("rmse", 12.0)
    assert best([{}]) is None
