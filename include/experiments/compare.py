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
        [read_json(client, one.mlflow_run_id, file) or {} for one in trainings]
        for file in (LINEAGE_FILE, ARCHITECTURE_FILE, SLICES_FILE)
    )
    return {
        "trainings": [_head(one) for one in trainings],
        "parameters": _differing([one.parameters for one in trainings]),
        "metrics": _metrics(trainings),
        "slices": _slices(slices),
        "gates": _gates(trainings),
        "data": _differing(
            [_data(one, lineage) for one, lineage in zip(trainings, lineages, strict=True)]
        ),
        "code": _differing(
            [_code(one, lineage) for one, lineage in zip(trainings, lineages, strict=True)]
        ),
        "architecture": _differing([_architecture(found) for found in architectures]),
    }


def _head(one: Training) -> dict[str, Any]:
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
    )
    told = {name: getattr(one, name) for name in names}
    return {
        **told,
        "kinds": list(one.kinds),
        "reasons": list(one.reasons),
        "annotations": [remark.text for remark in one.annotations],
    }


def _differing(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`[{"name", "values": one per training}]` of what is not the same in all; a missing value is
    null.
    """
    names = sorted({name for values in given for name in values})
    rows = [{"name": name, "values": [values.get(name) for values in given]} for name in names]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _metrics(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Overall metrics of test and golden: value, 95 % interval where there is one, difference to
    the first training.
    """
    names = {name for one in trainings for name in one.metrics}
    overall = sorted(
        name for name in names if name.split(".")[0] in SPLITS and name.count(".") == 1
    )
    return [
        {"name": name, "values": [_measured(one, trainings[0], name) for one in trainings]}
        for name in overall
    ]


def _measured(one: Training, first: Training, name: str) -> dict[str, Any] | None:
    value, base = one.metrics.get(name), first.metrics.get(name)
    if value is None:
        return None
    bounds = {bound: one.metrics.get(f"{name}.{bound}") for bound in ("low", "high")}
    return {
        "value": value,
        **bounds,
        "difference": None if base is None or one is first else value - base,
    }


def _slices(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The test slices whose metrics are furthest apart, most first; a slice that was too small in
    one training is left out.
    """
    given = [_slice_metrics(table) for table in tables]
    common = sorted(set(given[0]).intersection(*given[1:])) if given else []
    rows = [(key, [values[key] for values in given]) for key in common]
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
            for one in trainings
            for tag in one.tags
            if tag.startswith("gate.")
        }
    )
    return [
        {"gate": name, "verdicts": [one.tags.get(f"gate.{name}") for one in trainings]}
        for name in names
    ]


def _data(one: Training, lineage: Mapping[str, Any]) -> dict[str, Any]:
    data = lineage.get("data_set", {})
    facts = {
        "data set": data.get("name"),
        "version": one.snapshot,
        "digest": one.snapshot_digest,
        "rows": data.get("rows"),
    }
    facts |= {
        "window start": one.interval_start,
        "window end": one.interval_end,
        "definition": data.get("definition"),
    }
    golden = lineage.get("golden") or {}
    facts["golden"] = golden.get("digest")
    return facts | {
        f"table {source['table']}": source["version"] for source in lineage.get("sources", [])
    }


def _code(one: Training, lineage: Mapping[str, Any]) -> dict[str, Any]:
    code = lineage.get("code", {})
    environment = code.get("environment", {})
    plain = {name: value for name, value in environment.items() if name != "libraries"}
    libraries = {
        f"library {name}": version for name, version in environment.get("libraries", {}).items()
    }
    return {
        "commit": one.commit,
        "lock": code.get("lock"),
        "specification": lineage.get("specification"),
        **plain,
        **libraries,
    }


def _architecture(found: Mapping[str, Any]) -> dict[str, Any]:
    if not found:
        return {}
    inputs = {
        f"input {item['name']}": f"{item['kind']} of {item['source']}, monotone {item['monotone']}"
        for item in found["inputs"]
    }
    plain = {name: found[name] for name in ("estimator", "problem", "best_round", "pre_trained")}
    return {**plain, **flat_counts(found["fitted"]), **inputs}
