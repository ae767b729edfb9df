"""The pods of every step of every use case, as `FLIGHTDECK_TARGET=pods` starts them."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient

from dags.factories import FACTORIES
from include.catalogue import load_use_case, names
from include.interval import Interval
from include.settings import Settings, load_settings
from include.settings.pods import Pods, read_pods
from include.spec import UseCase
from include.step_documents import step_document
from include.steps import RunInfo, StepContext, load_step, short_name
from plugins.operators.pod import pod_operator
from plugins.operators.step import StepOperator
from plugins.pod_request import PodCall
from proofs.cluster.objects import pods_file

MONTH = Interval(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
TIME_OUT = 1800.0
CONNECTION = "AIRFLOW_CONN_KUBERNETES_DEFAULT"
SECRETS = {
    "FLIGHTDECK_LEDGER_URL": "postgresql://flightdeck:secret@postgres/flightdeck",
    "FLIGHTDECK_ONLINE_STORE": "redis://:secret@valkey/0",
}
"""What a worker has of its Secret, and a pod must get of one."""


def pods_of_steps(folder: Path, namespace: str) -> dict[str, list[dict[str, Any]]]:
    """The pods of each use case, as they are sent to the API server."""
    path = folder / "pods.toml"
    path.write_text(pods_file(namespace), encoding="utf-8")
    pods = read_pods(path)
    settings = load_settings(
        {
            "FLIGHTDECK_HOME": "/var/flightdeck",
            "FLIGHTDECK_TARGET": "pods",
            "FLIGHTDECK_PODS_FILE": str(path),
            "FLIGHTDECK_MLFLOW_TRACKING_URI": "http://mlflow:5000",
            "FLIGHTDECK_SERVING_URL": "http://serving:3000",
            **SECRETS,
        }
    )
    # An operator asks for its connection to the cluster, which the worker's account is.
    os.environ.setdefault(CONNECTION, json.dumps({"conn_type": "kubernetes"}))
    return {name: _of_use_case(load_use_case(name), settings, pods) for name in names()}


def _of_use_case(use_case: UseCase, settings: Settings, pods: Pods) -> list[dict[str, Any]]:
    requests = []
    for process, step in sorted(_steps(use_case)):
        context = StepContext(use_case, settings, MONTH, RunInfo(process=process, run_id="r:1+2"))
        call = PodCall(use_case.name, process, step, step_document(context, {}))
        operator = pod_operator(call, pods.template(use_case.name, step), context, TIME_OUT)
        pod = operator.build_pod_request_obj(dry_run=True)
        requests.append(ApiClient().sanitize_for_serialization(pod))
    return requests


def _steps(use_case: UseCase) -> set[tuple[str, str]]:
    """Process and step of every task of the use case."""
    steps = set[tuple[str, str]]()
    for task in (task for build in FACTORIES for task in build(use_case).tasks):
        values = getattr(task, "partial_kwargs", None)
        if values is not None:
            steps.add((values["process"], values["step"]))
        elif isinstance(task, StepOperator):
            steps.update((task.process, step) for step in task.steps)
    return {(process, short_name(load_step(step))) for process, step in steps}
