"""Where the steps of a DAG run: in the worker, or each in a pod of its own.

The environment's settings alone say it (docs/pods.md): a use case and the factories beside this one
know nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from airflow.sdk import DAG

from include.catalogue import names
from include.settings import Settings
from include.settings.pods import pods_of
from include.spec import UseCase
from include.steps import PROCESSES, step_names


def place_steps(use_case: UseCase, settings: Settings, dags: Iterable[DAG]) -> None:
    """Give the tasks the retries of their pods.

    Raises `SettingsError` for a file of pods that is wrong: the DAG file is then not imported, and
    Airflow's list of import errors says why.
    """
    pods = pods_of(settings)
    if pods is None:
        return
    pods.require_known(names(), step_names())
    for dag in dags:
        for task in dag.tasks:
            # A mapped task has no attributes of its own yet.
            values = getattr(task, "partial_kwargs", None)
            step = getattr(task, "step", None) if values is None else values.get("step")
            if step is None:
                continue
            template = pods.template(use_case.name, step.removeprefix(f"{PROCESSES}."))
            if template.retries is None:
                continue
            if values is None:
                task.retries = template.retries
            else:
                values["retries"] = template.retries
