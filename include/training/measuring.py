"""What `evaluate_model` does: inspect the package in a process of its own, then measure the model
on every split and on the golden set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from include.data_sets.golden import SPLIT, GoldenRecord, read_golden
from include.evaluation.evaluate import evaluate, metric_names
from include.evaluation.plots import importance, write_plots
from include.model.inspection import inspect_package
from include.problems.registry import strategy_of
from include.registry.client import connect
from include.steps import StepContext
from include.training.folders import work_folder
from include.training.package import open_package, package_folder
from include.training.tracking import log_metrics, log_table, log_tags

SLICE_COLUMNS = ("split", "column", "value", "status")


def measure(
    context: StepContext, inputs: Mapping[str, Any], splits: Mapping[str, pl.DataFrame]
) -> dict[str, Any]:
    """`{"digest", "metrics" (test), "baseline" (test), "inspection"}`; all of it, and more, is in
    MLflow afterwards.

    A package that does not load in the process of its own is not opened in this one: its `metrics`
    stay empty, and the gates refuse.
    """
    trained, settings = inputs["train_model"], context.settings
    client, mlflow_run_id = connect(settings), inputs["open_run"]["mlflow_run_id"]
    inspection = inspect_package(package_folder(settings, trained), trained["digest"])
    client.log_dict(mlflow_run_id, inspection.as_json(), "inspection.json")
    if inspection.measured is None:
        return {"digest": None, "metrics": {}, "baseline": {}, "inspection": inspection.as_json()}
    measured = {
        name: float(inspection.measured[name])
        for name in ("latency_p50_ms", "latency_p99_ms", "batch_ms", "load_seconds")
    }
    model = open_package(settings, trained)
    golden = inputs["build_snapshot"].get("golden")
    frames = (
        dict(splits)
        if golden is None
        else {**splits, SPLIT: read_golden(context.use_case, settings, GoldenRecord(**golden))}
    )
    evaluation = {
        **evaluate(context.use_case, model, frames),
        "importance": importance(model),
        "golden": golden,
    }
    plots = work_folder(settings, context.use_case.name, context.run.run_id) / "plots"
    test = frames["test"]
    problem = strategy_of(context.use_case)
    write_plots(
        plots,
        model,
        problem.labels(test),
        model.score_frame(test),
        evaluation["attributions"],
        problem,
    )
    headline = {f"test.{name}": value for name, value in evaluation["splits"]["test"].items()}
    others = {
        name: value for name, value in metric_names(evaluation).items() if name not in headline
    }
    package = {
        **{f"package.{name}": value for name, value in measured.items()},
        "package.bytes": float(inspection.size_bytes),
    }
    log_metrics(client, mlflow_run_id, headline, model_id=trained["model_id"])
    log_metrics(client, mlflow_run_id, {**others, **package})
    client.log_dict(mlflow_run_id, evaluation, "evaluation.json")
    slices = [
        {**{name: part[name] for name in SLICE_COLUMNS}, **part["metrics"]}
        for part in evaluation["slices"]
    ]
    log_table(client, mlflow_run_id, slices, "slices.json")
    log_table(client, mlflow_run_id, evaluation["attributions"], "attributions.json")
    log_table(client, mlflow_run_id, evaluation["intervals"], "intervals.json")
    client.log_artifacts(mlflow_run_id, str(plots), "plots")
    log_tags(client, mlflow_run_id, {"flightdeck.evaluated_digest": model.digest})
    return {
        "digest": model.digest,
        "metrics": evaluation["splits"]["test"],
        "baseline": evaluation["baseline"]["test"],
        "inspection": inspection.as_json(),
    }
