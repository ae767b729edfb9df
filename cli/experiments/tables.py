"""What the commands print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cli.tables import console, print_facts, print_remarks, print_table
from include.experiments.shown import heading, shown_metrics


def print_experiments(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per use case."""
    names = (
        "use_case",
        "trainings",
        "accepted",
        "refused",
        "failed",
        "newest_interval_end",
        "newest_version",
        "best_metric",
        "best_value",
    )
    print_table(
        "Experiments",
        [name.replace("_", " ") for name in names],
        ([row[name] for name in names] for row in rows),
    )


def print_trainings(rows: Sequence[Mapping[str, Any]]) -> None:
    """One line per training, with the metrics that the listed ones have."""
    measured = shown_metrics(row["metrics"] for row in rows)
    headings = (
        "training",
        "decision",
        "run",
        "trigger",
        "data until",
        *map(heading, measured),
        "snapshot",
        "commit",
        "remarks",
    )
    cells = (
        (
            _name(row),
            row["decision"],
            row["mlflow_run_id"][:12],
            "+".join(row["kinds"]),
            row["interval_end"][:10],
            *(row["metrics"].get(name) for name in measured),
            row["snapshot_digest"][:12],
            row["commit"][:10],
            len(row["annotations"]) or None,
        )
        for row in rows
    )
    print_table("Trainings", headings, cells, nothing="none that fulfils every condition")


def print_training(training: Mapping[str, Any]) -> None:
    """Everything about one training, the longest parts as counts."""
    lineage = training["lineage"] or {}
    facts = {
        "decision": training["decision"],
        "reasons": "; ".join(training["reasons"]) or None,
        "MLflow run": training["mlflow_run_id"],
        "DAG run": training["run_id"],
        "data": f"{training['interval_start']} to {training['interval_end']}",
        "started by": "; ".join(training["started_by"]),
        "model": training["tags"].get("flightdeck.architecture"),
        "data set": f"{training['snapshot']} {training['snapshot_digest'][:16]}",
        "code": training["commit"],
        "package": training["tags"].get("flightdeck.digest"),
        "artefacts": ", ".join(entry["path"] for entry in lineage.get("artefacts", [])) or None,
    }
    print_facts(_name(training), facts)
    metrics = {
        name: value
        for name, value in sorted(training["metrics"].items())
        if name.count(".") == 1 and name.split(".")[0] in ("test", "golden")
    }
    print_table(
        "Metrics",
        ("metric", "value", "95 % from", "to"),
        ([name, value, *_bounds(training["metrics"], name)] for name, value in metrics.items()),
    )
    print_table("Parameters", ("parameter", "value"), sorted(training["parameters"].items()))
    gates = {
        name.removeprefix("gate."): value
        for name, value in sorted(training["tags"].items())
        if name.startswith("gate.")
    }
    print_table("Gates", ("gate", "verdict"), gates.items())
    print_remarks(training["annotation_history"])


def print_comparison(answer: Mapping[str, Any]) -> None:
    """All that differs; the differences are to the first training."""
    names = [_name(training) for training in answer["trainings"]]
    facts = ("decision", "interval_end", "started_by", "reasons")
    print_table(
        "Trainings",
        ("", *names),
        (
            [fact.replace("_", " "), *(training[fact] for training in answer["trainings"])]
            for fact in facts
        ),
    )
    _print_golden(answer["golden"])
    print_table(
        "Metrics, each on its own rows",
        ("metric", *names),
        ([row["name"], *map(_metric, row["values"])] for row in answer["metrics"]),
    )
    print_table(
        "Slices that differ most (test)",
        ("slice", "metric", *names),
        ([r["slice"], r["metric"], *r["values"]] for r in answer["slices"]),
    )
    print_table(
        "Gates", ("gate", *names), ([row["gate"], *row["verdicts"]] for row in answer["gates"])
    )
    for title in ("parameters", "architecture", "data", "code"):
        print_table(
            title.capitalize(),
            (title, *names),
            ([row["name"], *row["values"]] for row in answer[title]),
            nothing="the same in all",
        )


def _print_golden(golden: Mapping[str, Any] | None) -> None:
    if golden is None:
        return
    if "problem" in golden:
        console().print(f"Golden set: not compared: {golden['problem']}", soft_wrap=True)
        return
    title = (
        f"Golden set {golden['table']}, scored now: {golden['rows']} rows of {golden['days']} days"
    )
    metrics = [name for name in golden["models"][0] if name not in ("name", "differences")]
    print_table(
        title,
        ("model", *metrics),
        (
            [model["name"], *(_paired(model, metric) for metric in metrics)]
            for model in golden["models"]
        ),
    )


def _paired(model: Mapping[str, Any], metric: str) -> str:
    value = f"{model[metric]:.4f}"
    if model["differences"] is None:
        return value
    difference = model["differences"][metric]
    interval = f"{difference['low']:+.4f} to {difference['high']:+.4f}"
    return f"{value} ({difference['mean']:+.4f}, {interval})"


def _metric(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "-"
    interval = (
        "" if measured["low"] is None else f" [{measured['low']:.4g}, {measured['high']:.4g}]"
    )
    difference = "" if measured["difference"] is None else f" ({measured['difference']:+.4g})"
    return f"{measured['value']:.4g}{interval}{difference}"


def _bounds(metrics: Mapping[str, float], name: str) -> tuple[float | None, float | None]:
    return metrics.get(f"{name}.low"), metrics.get(f"{name}.high")


def _name(training: Mapping[str, Any]) -> str:
    return (
        f"{training['use_case']}/{training['version']}"
        if training["version"] is not None
        else f"{training['use_case']} {training['mlflow_run_id'][:8]}"
    )
