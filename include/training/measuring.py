"""What `evaluate_model` does: inspect the package in a process of its own, then measure the model
on every split and on the golden set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from include.data_sets.golden import SPLIT, GoldenRecord, lacking_in, read_golden
from include.evaluation.evaluate import evaluate, metric_names
from include.evaluation.plots import importance, write_plots
from include.model.inspection import Inspection, inspect_package
from include.model.package import ScoringModel
from include.problems.registry import strategy_of
from include.registry.client import connect
from include.registry.metric_names import mlflow_name
from include.steps import StepContext
from include.training.folders import work_folder
from include.training.package import TrainedPackage, open_package, package_folder
from include.training.tracking import log_metrics, log_table, log_tags

if TYPE_CHECKING:
    from mlflow import MlflowClient

GOLDEN_LACKS = "flightdeck.golden_lacks"
"""Tag of a run: what its model reads and the golden set was frozen without, as JSON."""
PACKAGE_MEASURES = ("latency_p50_ms", "latency_p99_ms", "batch_ms", "load_seconds")
SLICE_COLUMNS = ("split", "column", "value", "key", "status")


@dataclass(frozen=True)
class Measured:
    """Metrics and baselines on the test split, the digest that was measured, the inspection."""

    digest: str | None
    metrics: dict[str, float]
    baseline: dict[str, Any]
    inspection: Inspection


def measure(
    context: StepContext,
    mlflow_run_id: str,
    trained: TrainedPackage,
    golden: GoldenRecord | None,
    splits: Mapping[str, pl.DataFrame],
) -> Measured:
    """Inspect the package, then measure the model; all of it, and more, is in MLflow afterwards.

    A package that does not load in the process of its own is not opened in this one: its `metrics`
    stay empty, and the gates refuse.
    """
    settings = context.settings
    client = connect(settings)
    inspection = inspect_package(package_folder(settings, trained), trained.digest)
    client.log_dict(mlflow_run_id, inspection.as_json(), "inspection.json")
    if inspection.measured is None:
        return Measured(None, {}, {}, inspection)
    model = open_package(settings, trained)
    frames = dict(splits)
    lacks: list[str] = []
    if golden is not None:
        frames[SPLIT] = read_golden(context.use_case, settings, golden)
        lacks = lacking_in(context.use_case, settings, golden)
    evaluation = {
        **evaluate(context.use_case, model, frames),
        "importance": importance(model),
        "golden": None if golden is None else {**golden.as_json(), "lacks": lacks},
    }
    _log_metrics(client, mlflow_run_id, trained, inspection, evaluation)
    _log_tables(client, mlflow_run_id, evaluation)
    _log_plots(context, client, mlflow_run_id, model, frames["test"], evaluation)
    tags = {"flightdeck.evaluated_digest": model.digest, GOLDEN_LACKS: json.dumps(lacks)}
    log_tags(client, mlflow_run_id, tags)
    return Measured(
        model.digest, evaluation["splits"]["test"], evaluation["baseline"]["test"], inspection
    )


def _log_metrics(
    client: MlflowClient,
    mlflow_run_id: str,
    trained: TrainedPackage,
    inspection: Inspection,
    evaluation: Mapping[str, Any],
) -> None:
    """Log the test split's metrics with the model, all others with the run."""
    headline = {
        mlflow_name("test", name): value for name, value in evaluation["splits"]["test"].items()
    }
    others = {
        name: value for name, value in metric_names(evaluation).items() if name not in headline
    }
    package = {"package.bytes": float(inspection.size_bytes)}
    for name in PACKAGE_MEASURES:
        package[f"package.{name}"] = float((inspection.measured or {})[name])
    log_metrics(client, mlflow_run_id, headline, model_id=trained.model_id)
    log_metrics(client, mlflow_run_id, {**others, **package})


def _log_tables(client: MlflowClient, mlflow_run_id: str, evaluation: Mapping[str, Any]) -> None:
    client.log_dict(mlflow_run_id, evaluation, "evaluation.json")
    slices = [
        {**{name: part[name] for name in SLICE_COLUMNS}, **part["metrics"]}
        for part in evaluation["slices"]
    ]
    log_table(client, mlflow_run_id, slices, "slices.json")
    log_table(client, mlflow_run_id, evaluation["attributions"], "attributions.json")
    log_table(client, mlflow_run_id, evaluation["attribution_rows"], "attribution_rows.json")
    log_table(client, mlflow_run_id, evaluation["intervals"], "intervals.json")


def _log_plots(
    context: StepContext,
    client: MlflowClient,
    mlflow_run_id: str,
    model: ScoringModel,
    test: pl.DataFrame,
    evaluation: Mapping[str, Any],
) -> None:
    plots = work_folder(context.settings, context.use_case.name, context.run.run_id) / "plots"
    problem = strategy_of(context.use_case)
    labels, scores = problem.labels(test), model.score_frame(test)
    attributed = (evaluation["attributions"], evaluation["attribution_rows"])
    write_plots(plots, model, labels, scores, *attributed, problem=problem)
    client.log_artifacts(mlflow_run_id, str(plots), "plots")
