"""Steps as a DAG runs them: JSON between them, bound to parameters by their types."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from include.processes import batch_scoring, deployment, features, monitoring, training
from include.steps import Step, StepContext, call_after

REFERENCES = {
    name: f"{module.__name__}:{name}"
    for module in (batch_scoring, deployment, features, monitoring, training)
    for name, value in inspect.getmembers(module, inspect.isfunction)
    if value.__module__ == module.__name__ and not name.startswith("_")
}
ACCEPTED: dict[str, Any] = {
    "accepted": True,
    "reasons": [],
    "failures": [],
    "warnings": [],
    "notes": [],
    "references": {},
    "report": "",
    "data_docs": "",
    "quarantine": {},
}
"""The verdict of `validate_data` on rows that nobody looked at."""


def run_step(
    step: Step, context: StepContext, results: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The step's result as JSON; `results` are those of earlier steps, by the steps' names.

    A `partition` among them is the part that a mapped task scores.
    """
    earlier = dict(results or {})
    supplied = {name: earlier.pop(name) for name in ("partition",) if name in earlier}
    by_reference = {REFERENCES[name]: result for name, result in earlier.items()}
    return json.loads(
        json.dumps(call_after(step, context, by_reference, **supplied).as_json(), allow_nan=False)
    )
