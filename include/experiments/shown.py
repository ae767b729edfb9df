"""Which metrics people are shown: those of the problem that a training answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

SHOWN = ("auc", "brier", "accuracy", "rmse", "mae", "r2")
"""In the order in which they are shown: of rates the first two, of several classes the first three,
of numbers the last three.
"""
HEADLINES: Mapping[str, Callable[[Iterable[float]], float]] = {"auc": max, "rmse": min}
"""By which metric of the test split trainings of one use case are ranked, and which end is best."""

Metrics = Mapping[str, float]
"""What MLflow has of a training: `test.auc`, `golden.rmse`."""


def shown_metrics(trainings: Iterable[Metrics]) -> list[str]:
    """The metrics of the test split that one of the trainings has, then the golden set's headline
    metrics; those of a rate where there are none.
    """
    every = list(trainings)
    test = [f"test.{name}" for name in SHOWN if _some(every, f"test.{name}")]
    golden = [f"golden.{name}" for name in HEADLINES if _some(every, f"golden.{name}")]
    return [*test, *golden] or ["test.auc", "test.brier", "golden.auc"]


def heading(metric: str) -> str:
    """What a column of the metric is called: the test split goes without saying."""
    return metric.removeprefix("test.").replace(".", " ")


def best(trainings: Iterable[Metrics]) -> tuple[str, float] | None:
    """The headline metric of the trainings and its best value; None where none has one."""
    every = list(trainings)
    for name, choose in HEADLINES.items():
        values = [metrics[f"test.{name}"] for metrics in every if f"test.{name}" in metrics]
        if values:
            return name, choose(values)
    return None


def _some(trainings: Iterable[Metrics], name: str) -> bool:
    return any(name in metrics for metrics in trainings)
