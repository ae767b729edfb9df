"""Two or more trainings side by side: what differs in parameters, metrics, slices, gates, data,
code and model.

Differences are to the first training. Metrics are those that the runs recorded, each on its own
test rows; `include.experiments.paired` measures the models on the same golden rows now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from include.errors import RegistryError
from include.experiments.runs import Training
from include.registry.run_files import read_json
from include.training.architecture import ARCHITECTURE_FILE, flat_counts
from include.training.lineage import LINEAGE_FILE

if TYPE_CHECKING:
    from mlflow import MlflowClient

SLICES_FILE = "slices.json"
SPLITS = ("test", "golden")
SLICES_SHOWN = 10


def compare(client: MlflowClient, trainings: Sequence[Training]) -> dict[str, Any]:
    """Plain JSON: `trainings`, `parameters`, `metrics`, `slices`, `gates`, `data`, `code`,
    `architecture`.

    Raises `RegistryError` for fewer than two trainings.
    """
    if len(trainings) <= 1:
        raise RegistryError(
            "A comparison needs two trainings or more: experiments compare flight_delays/1"
            " flight_delays/2"
        )
    lineages, architectures, slices = (
        [read_json(client, training.mlflow_run_id, file) or {} for training in trainings]
        for file in (LINEAGE_FILE, ARCHITECTURE_FILE, SLICES_FILE)
    )
    return {
        "trainings": [_head(training) for training in trainings],
        "parameters": _differing([training.parameters for training in trainings]),
        "metrics": _metrics(trainings),
        "slices": _slices(slices),
        "gates": _gates(trainings),
        "data": _differing(
            [
                _data(training, lineage)
                for training, lineage in zip(trainings, lineages, strict=True)
            ]
        ),
        "code": _differing(
            [
                _code(training, lineage)
                for training, lineage in zip(trainings, lineages, strict=True)
            ]
        ),
        "architecture": _differing([_architecture(architecture) for architecture in architectures]),
    }


def _head(training: Training) -> dict[str, Any]:
    names = (
        "name",
        "use_case",
        "run_id",
        "mlflow_run_id",
        "decision",
        "version",
        "interval_start",
        "interval_end",
        "by",
        "started_by",
    )
    facts = {name: getattr(training, name) for name in names}
    return {
        **facts,
        "kinds": list(training.kinds),
        "reasons": list(training.reasons),
        "annotations": [remark.text for remark in training.annotations],
    }


def _differing(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`[{"name", "values": one per training}]` of what is not the same in all; a missing value is
    null.
    """
    names = sorted({name for values in columns for name in values})
    rows = [{"name": name, "values": [values.get(name) for values in columns]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _metrics(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Overall metrics of test and golden: value, 95 % interval where there is one, difference to
    the first training.
    """
    names = {name for training in trainings for name in training.metrics}
    overall = sorted(
        name for name in names if name.split(".")[0] in SPLITS and name.count(".") == 1
    )
    return [
        {
            "name": name,
            "values": [_measured(training, trainings[0], name) for training in trainings],
        }
        for name in overall
    ]


def _measured(training: Training, first: Training, name: str) -> dict[str, Any] | None:
    value, base = training.metrics.get(name), first.metrics.get(name)
    if value is None:
        return None
    bounds = {bound: training.metrics.get(f"{name}.{bound}") for bound in ("low", "high")}
    return {
        "value": value,
        **bounds,
        "difference": None if base is None or training is first else value - base,
    }


def _slices(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The test slices whose metrics are furthest apart, most first; a slice that was too small in
    one training is left out.
    """
    metrics = [_slice_metrics(table) for table in tables]
    common = sorted(set(metrics[0]).intersection(*metrics[1:])) if metrics else []
    rows = [(key, [values[key] for values in metrics]) for key in common]
    ordered = sorted(rows, key=lambda row: (min(row[1]) - max(row[1]), row[0]))[:SLICES_SHOWN]
    return [
        {"slice": key[0], "metric": key[1], "values": values, "spread": max(values) - min(values)}
        for key, values in ordered
    ]


def _slice_metrics(table: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]] if table else []
    shown = ("auc", "brier", "accuracy", "rmse", "mae")
    return {
        (f"{row['column']}={row['value']}", metric): float(row[metric])
        for row in rows
        if row["split"] == "test" and row["status"] == "ok"
        for metric in shown
        if row.get(metric) is not None
    }


def _gates(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Every gate with its verdict in each training; null where it was not reached."""
    names = sorted(
        {
            tag.removeprefix("gate.")
            for training in trainings
            for tag in training.tags
            if tag.startswith("gate.")
        }
    )
    return [
        {"gate": name, "verdicts": [training.tags.get(f"gate.{name}") for training in trainings]}
        for name in names
    ]


def _data(training: Training, lineage: Mapping[str, Any]) -> dict[str, Any]:
    data = lineage.get("data_set", {})
    facts = {
        "data set": data.get("name"),
        "version": training.snapshot,
        "digest": training.snapshot_digest,
        "rows": data.get("rows"),
    }
    facts |= {
        "window start": training.interval_start,
        "window end": training.interval_end,
        "definition": data.get("definition"),
    }
    golden = lineage.get("golden") or {}
    facts["golden"] = golden.get("digest")
    return facts | {
        f"table {source['table']}": source["version"] for source in lineage.get("sources", [])
    }


def _code(training: Training, lineage: Mapping[str, Any]) -> dict[str, Any]:
    code = lineage.get("code", {})
    environment = code.get("environment", {})
    plain = {name: value for name, value in environment.items() if name != "libraries"}
    libraries = {
        f"library {name}": version for name, version in environment.get("libraries", {}).items()
    }
    return {
        "commit": training.commit,
        "lock": code.get("lock"),
        "specification": lineage.get("specification"),
        **plain,
        **libraries,
    }


def _architecture(architecture: Mapping[str, Any]) -> dict[str, Any]:
    if not architecture:
        return {}
    inputs = {
        f"input {item['name']}": f"{item['kind']} of {item['source']}, monotone {item['monotone']}"
        for item in architecture["inputs"]
    }
    plain = {
        name: architecture[name] for name in ("estimator", "problem", "best_round", "pre_trained")
    }
    return {**plain, **flat_counts(architecture["fitted"]), **inputs}
