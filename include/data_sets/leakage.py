"""Label leakage: one input that alone knows the answer.

An input's value is turned into the share of positive labels among the rows that share it (a
category's rows, or one of `BINS` equally full bins of a number; missing is a value of its own), and
that share is judged as a score by the area under the ROC curve. So a leak counts whichever way it
points, a hump included, and also where only the absence of a value gives the label away. Real
predictors stay far below: what is known before a question is asked seldom decides its answer alone.
Where whom the rows are about decides most of it, an input leaks that knows much more than that.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from include.features.transform import FeatureTransform
from include.problems.registry import strategy_of
from include.quality.validation import example_row
from include.spec import DataChecks, UseCase
from include.stats.metrics import roc_auc
from include.verdict import Finding, broken_rule

BINS = 50
BOTH = 2
HONEST = "; where that is known when the question is asked, raise data_checks.max_single_auc"


def leaks(use_case: UseCase, frame: pl.DataFrame, table: str) -> list[Finding]:
    """Every input that predicts the label better than `max_single_auc` allows, or where whom the
    rows are about predicts it so well already, much better than that.
    """
    checks, columns = use_case.data_checks, binary_labels(use_case, frame)
    limit = _limit(use_case, frame, columns)
    transform = FeatureTransform.fit(use_case, frame)
    matrix = transform.apply_frame(frame)
    failures = []
    for position, item in enumerate(transform.inputs):
        category = item.kind == "category"
        area = _largest(matrix[:, position], columns, checks, category=category)
        if area is not None and area > limit:
            expected = f"an area under the ROC curve of at most {limit:.4g} for one input alone"
            column = transform.column(item)
            failures.append(
                broken_rule(
                    table,
                    column,
                    "label leakage",
                    expected,
                    f"{area:.4f} from {item.name}{HONEST}",
                    example_row(frame),
                )
            )
    return failures


def _limit(use_case: UseCase, frame: pl.DataFrame, columns: list[np.ndarray]) -> float:
    """`max_single_auc`, of a number at least halfway from what an entity key reaches to 1.

    The key is what the caller asks about, so that it tells much of a number's level is no leak: of
    births by state the state decides nearly all, and so does every mean of it.
    """
    checks, floor = use_case.data_checks, 0.0
    if use_case.problem.class_count:
        return checks.max_single_auc
    for name in use_case.serving.entity_keys:
        codes = frame[name].rank("dense").cast(pl.Float64).fill_null(float("nan")).to_numpy()
        floor = max(floor, _largest(codes, columns, checks, category=True) or 0.0)
    return max(checks.max_single_auc, (1.0 + floor) / 2 if floor > checks.max_single_auc else 0.0)


def _largest(
    values: np.ndarray, columns: list[np.ndarray], checks: DataChecks, *, category: bool
) -> float | None:
    """The largest area that a column reaches alone over the ways to see the label as 0 and 1."""
    areas = [single_auc(values, labels, checks, category=category) for labels in columns]
    return max((area for area in areas if area is not None), default=None)


def binary_labels(use_case: UseCase, frame: pl.DataFrame) -> list[np.ndarray]:
    """The label as 0 and 1: itself, each class against the rest, or of a regression whether it is
    above the median.
    """
    problem = strategy_of(use_case)
    return problem.one_against_rest(problem.labels(frame))


def single_auc(
    values: np.ndarray, labels: np.ndarray, checks: DataChecks, *, category: bool
) -> float | None:
    """The area under the ROC curve that the column reaches alone; `None` when there are too few
    rows, or one class, to say.

    `values` is a column of the transformed matrix, `labels` 0 and 1, both of shape (rows,). Of a
    category, the rows of values with fewer than `minimum_leak_group` rows are left out: their share
    of positives would be chance.
    """
    groups = _groups(values, category=category)
    rows = np.bincount(groups)
    large_enough = rows[groups] >= checks.minimum_leak_group
    if large_enough.sum() < checks.minimum_leak_rows or len(np.unique(labels[large_enough])) < BOTH:
        return None
    positives = np.bincount(groups, weights=labels)
    return roc_auc(labels[large_enough], (positives / np.maximum(rows, 1))[groups[large_enough]])


def _groups(values: np.ndarray, *, category: bool) -> np.ndarray:
    """A group number per row; missing values are the last group."""
    missing = np.isnan(values)
    present = values[~missing]
    if category or len(present) == 0:
        codes = np.where(missing, 0, values).astype(np.int64)
        count = int(present.max()) + 1 if len(present) else 0
    else:
        edges = np.unique(np.quantile(present, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
        codes = np.searchsorted(edges, np.where(missing, 0.0, values), side="right")
        count = len(edges) + 1
    return np.where(missing, count, codes)
