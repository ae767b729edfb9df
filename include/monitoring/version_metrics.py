"""What monitoring measured of an interval, as metrics of the MLflow run of the version that scored
it: `monitoring.auc` and the like, whose step is the interval's end in seconds since 1970.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from include.errors import RegistryError
from include.interval import Interval
from include.registry.client import connect, unreachable
from include.registry.versions import version as registered_version
from include.settings import Settings
from include.spec import UseCase

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

PREFIX = "monitoring."
MILLISECONDS = 1_000


def log_metrics(
    settings: Settings,
    use_case: UseCase,
    interval: Interval,
    version: int,
    measured: Mapping[str, object],
) -> str:
    """Log the finite numbers of what was measured; the run, or why they are not logged. What MLflow
    does not take keeps nothing from being decided.

    An interval that is judged again adds a point only to a metric that has changed since; it is the
    later one of the same step.
    """
    from mlflow.exceptions import MlflowException

    why = unreachable(settings)
    if why is not None:
        return f"not logged: {why}"
    try:
        client, run_id = connect(settings), registered_version(settings, use_case, version).run_id
        points = [
            point
            for name, value in _numbers(measured).items()
            if (point := _point(client, run_id, f"{PREFIX}{name}", value, interval)) is not None
        ]
        if points:
            client.log_batch(run_id, metrics=points)
    except (MlflowException, RegistryError, OSError) as error:
        return f"not logged: {error}"
    return f"runs:/{run_id}"


def _numbers(measured: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in measured.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _point(
    client: MlflowClient, run_id: str, name: str, value: float, interval: Interval
) -> Metric | None:
    """The metric's point of the interval; None where the last one of its step says the same."""
    from mlflow.entities import Metric

    step = int(interval.end.timestamp())
    there = [item for item in client.get_metric_history(run_id, name) if item.step == step]
    newest = max(there, key=lambda item: item.timestamp, default=None)
    if newest is None:
        return Metric(name, value, step * MILLISECONDS, step)
    if newest.value == value:
        return None
    return Metric(name, value, newest.timestamp + 1, step)
