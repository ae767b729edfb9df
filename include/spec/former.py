"""Specifications of earlier versions of Flightdeck, found in training records, in today's form.

Then a problem was a word whose thresholds lay among the gates and whose classes lay in the label,
and a use case repeated what its data set says; drift had a limit of the PSI. Records of trainings
hold such specifications and can be reproduced for as long as they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.spec.operations import effect_of_psi
from include.spec.problem import Binary, Multiclass, Regression

KINDS: dict[str, type[Binary | Multiclass | Regression]] = {
    "binary": Binary,
    "multiclass": Multiclass,
    "regression": Regression,
}
OF_PROBLEM = ("classes", "bounds", "positive")
OF_DATA_SET = ("id_column", "event_time", "entity_table", "golden")


def from_former(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same specification in today's form; unchanged where it is in that form already."""
    values = _drift_by_effect(values)
    if not isinstance(values.get("problem", ""), str) or "entity_table" not in values:
        return values
    label, gates = dict(values.get("label", {})), dict(values.get("gates", {}))
    problem = _problem(values.get("problem", "binary"), label, gates)
    data_set = values.get("data_set") or {
        **{name: values.get(name) for name in OF_DATA_SET},
        "feature_service": values.get("feature_service"),
        "label_table": label.get("table"),
        "label_time": label.get("time_column"),
    }
    remaining = {name: value for name, value in values.items() if name not in OF_DATA_SET}
    for name in ("table", "time_column"):
        label.pop(name, None)
    return {**remaining, "problem": problem, "data_set": data_set, "label": label, "gates": gates}


def _drift_by_effect(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the limit of the population stability index as the effect that it is."""
    monitoring = values.get("monitoring")
    if not isinstance(monitoring, Mapping) or "feature_psi" not in monitoring:
        return values
    others = {name: value for name, value in monitoring.items() if name != "feature_psi"}
    effect = effect_of_psi(monitoring["feature_psi"])
    return {**values, "monitoring": {"drift_effect": effect, **others}}


def _problem(kind: str, label: dict[str, Any], gates: dict[str, Any]) -> dict[str, Any]:
    """The declaration of the kind; takes what belongs to any kind out of label and gates."""
    names = {name for declared in KINDS.values() for name in declared.model_fields} - {"kind"}
    moved = {name: label.pop(name) for name in OF_PROBLEM if name in label}
    moved |= {name: gates.pop(name) for name in names if name in gates}
    fields = KINDS[kind].model_fields if kind in KINDS else {}
    return {"kind": kind, **{name: value for name, value in moved.items() if name in fields}}
