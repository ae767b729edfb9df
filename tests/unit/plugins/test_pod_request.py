"""The pods of every step of every use case, as they are sent to Kubernetes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
from kubernetes.client import ApiClient
from kubernetes_validate import utils

from dags.factories import build_dags
from dags.factories.pods import place_steps
from include.catalogue import load_use_case, names
from include.errors import SettingsError, SpecError
from include.interval import Interval
from include.settings import load_settings
from include.settings.pods import pods_of
from include.spec import Release
from include.step_documents import step_document, unpack
from include.steps import RunInfo, StepContext, load_step, short_name, step_names
from include.use_cases.flight_delays.spec import USE_CASE
from plugins.operators.pod import pod_operator
from plugins.operators.step import StepOperator
from plugins.pod_request import DOCUMENT, PodCall
from tests.unit.plugins.pod_settings import DIGEST, LEDGER, pod_variables, pods_file

VERSIONS = ("1.31", "1.37")
"""The oldest and the newest Kubernetes that the pods are validated for."""
TRAINING = """
[steps."training:train_model"]
cpu = "8"
cpu_limit = "16"
memory = "64Gi"
gpu = 2
service_account = "trainer"
priority_class = "high"
retries = 5
node_selector = { "kubernetes.io/arch" = "amd64", pool = "gpu" }
tolerations = [{ key = "gpu", operator = "Equal", value = "yes", effect = "NoSchedule" }]
pull_secrets = ["registry"]
variables = { OMP_NUM_THREADS = "8", GREETING = "$(HOME) and $$" }

[use_cases.flight_delays.steps."training:tune_model"]
memory = "48Gi"
target = "process"
[use_cases.flight_delays.steps."batch_scoring:score_partition"]
retries = 7
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """The settings of a worker whose steps run in pods, and the file of these."""
    monkeypatch.setenv("AIRFLOW_CONN_TEST_CLUSTER", json.dumps({"conn_type": "kubernetes"}))
    return load_settings(pod_variables(tmp_path, pods_file(tmp_path, TRAINING)))


def request_of(settings: Any, use_case: Any, process: str, step: str, **inputs: Any) -> Any:
    """The pod of a step as JSON."""
    pods = pods_of(settings)
    days = Interval(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))
    context = StepContext(use_case, settings, days, RunInfo(process=process, run_id="r:1+2"))
    call = PodCall(use_case.name, process, step, step_document(context, inputs))
    operator = pod_operator(call, pods.template(use_case.name, step), context, 1800)
    pod = operator.build_pod_request_obj(dry_run=True)
    return ApiClient().sanitize_for_serialization(pod)


def steps_of(use_case: Any) -> set[tuple[str, str]]:
    """Process and step of every task of the use case, in every kind of release."""
    releases = [
        use_case.release,
        Release(strategy={"kind": "canary"}, approval="all", approvers=("reviewer",)),
    ]
    kinds = [use_case.model_copy(update={"release": release}) for release in releases]
    tasks = [
        task for kind in kinds for dag in build_dags(kind, load_settings()) for task in dag.tasks
    ]
    steps = set()
    for task in tasks:
        values = getattr(task, "partial_kwargs", None)
        if values is not None:
            steps.add((values["process"], values["step"]))
        elif isinstance(task, StepOperator):
            steps.update((task.process, step) for step in task.steps)
    return {(process, short_name(load_step(step))) for process, step in steps}


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_the_pod_of_every_step_is_valid_by_kubernetes_own_schema(name, worker, monkeypatch):
    use_case = load_use_case(name)
    # Each call would read the schema anew.
    monkeypatch.setattr(utils, "schema_contents", cache(utils.schema_contents))
    steps = steps_of(use_case)
    assert len(steps) > 30
    assert {step for _, step in steps} <= step_names()
    for process, step in sorted(steps):
        pod = request_of(worker, use_case, process, step)
        for version in VERSIONS:
            kubernetes_validate.validate(pod, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_refused(worker):
    pod = request_of(worker, USE_CASE, "features", "features:ingest_source")
    pod["spec"]["containers"][0]["memry"] = "2Gi"
    with pytest.raises(kubernetes_validate.ValidationError, match="memry"):
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


@pytest.mark.slow
def test_a_step_has_what_the_file_says_of_it(worker):
    pod = request_of(worker, USE_CASE, "training", "training:train_model")
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert container["image"] == DIGEST
    assert container["resources"] == {
        "requests": {"cpu": "8", "memory": "64Gi"},
        "limits": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "2"},
    }
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64", "pool": "gpu"}
    assert spec["tolerations"][0]["value"] == "yes"
    assert (spec["serviceAccountName"], spec["priorityClassName"]) == ("trainer", "high")
    assert spec["activeDeadlineSeconds"] > 1800
    other = request_of(worker, USE_CASE, "features", "features:ingest_source")["spec"]
    assert other["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}
    assert "nodeSelector" not in other or other["nodeSelector"] == {}


def test_a_pod_may_nothing_that_its_step_does_not_need(worker):
    spec = request_of(worker, USE_CASE, "training", "training:train_model")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["restartPolicy"] == "Never"
    assert spec["enableServiceLinks"] is False, "a Service sets no FLIGHTDECK_ variable in a pod"
    assert [container["name"] for container in spec["containers"]] == [
        "step",
        "airflow-xcom-sidecar",
    ]
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert container["image"] == DIGEST, "no image of somebody else's registry is fetched"
        assert container["resources"]["limits"]["memory"]


def test_a_password_comes_from_the_secret_and_stands_in_no_pod(worker):
    pod = request_of(worker, USE_CASE, "training", "training:train_model")
    environment = {item["name"]: item for item in pod["spec"]["containers"][0]["env"]}
    assert environment["FLIGHTDECK_LEDGER_URL"]["valueFrom"]["secretKeyRef"] == {
        "name": "flightdeck-secrets",
        "key": "FLIGHTDECK_LEDGER_URL",
    }
    assert environment["FLIGHTDECK_TARGET"]["value"] == "process"
    assert environment["GREETING"]["value"] == "$$(HOME) and $$$$"
    assert "planted-password" not in json.dumps(pod)
    assert "planted-password" in LEDGER


def test_a_pod_asks_object_storage_where_the_worker_does_with_a_key_of_the_secret(
    worker, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage:8333")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "planted-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-key")
    pod = request_of(worker, USE_CASE, "training", "training:train_model")
    container = pod["spec"]["containers"][0]
    environment = {item["name"]: item.get("value") for item in container["env"]}
    assert environment["AWS_ENDPOINT_URL"] == "http://storage:8333"
    assert environment["AWS_REGION"] == "eu-central-1"
    assert "planted-key" not in json.dumps(pod)
    assert container["envFrom"] == [{"secretRef": {"name": "flightdeck-secrets"}}]


def test_without_a_secret_to_take_it_from_a_password_is_refused(tmp_path, worker):
    path = pods_file(tmp_path)
    path.write_text(path.read_text().replace('secret = "flightdeck-secrets"', ""))
    with pytest.raises(SettingsError, match=r"needs FLIGHTDECK_\w+, which may hold a password"):
        request_of(worker, USE_CASE, "training", "training:train_model")


def test_what_a_step_is_called_with_comes_through_whole_or_is_refused(worker):
    verdict = {"text": "ö $(HOME) $$ {{ ds }} " * 3000}
    pod = request_of(worker, USE_CASE, "training", "training:check_gates", verdict=verdict)
    environment = {item["name"]: item for item in pod["spec"]["containers"][0]["env"]}
    document = json.loads(unpack(environment[DOCUMENT]["value"]))
    assert document["inputs"] == {"verdict": verdict}
    assert document["context"]["run"]["run_id"] == "r:1+2"
    noise = {"rows": [hash((number, "x")) for number in range(30_000)]}
    with pytest.raises(SpecError, match=r"check_gates.*compressed.*'verdict': \d+.*process"):
        request_of(worker, USE_CASE, "training", "training:check_gates", verdict=noise)
    with pytest.raises(SpecError, match="cannot be unpacked"):
        unpack("no document")


def test_every_try_of_a_call_has_the_same_label_and_no_other_call_has_it(worker):
    days = Interval(datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC))

    def label(step: str, **run: Any) -> str:
        info = RunInfo(process="training", **{"run_id": "r", **run})
        document = step_document(StepContext(USE_CASE, worker, days, info), {})
        return PodCall("flight_delays", "training", step, document).labels["flightdeck-call"]

    first = label("training:open_run")
    assert first == label("training:open_run", try_number=3)
    assert first != label("training:collect_causes")
    assert first != label("training:open_run", run_id="s")


def test_the_factories_take_the_retries_of_the_file(worker):
    dags = {dag.dag_id: dag for dag in build_dags(USE_CASE, worker)}
    place_steps(USE_CASE, worker, dags.values())
    training = dags["flight_delays__training"]
    assert training.get_task("train_model").retries == 5
    assert training.get_task("open_run").retries == 2
    scored = dags["flight_delays__batch_scoring"].get_task("score_partition")
    assert scored.partial_kwargs["retries"] == 7


def test_a_step_that_is_not_there_keeps_the_dags_out(tmp_path):
    path = pods_file(tmp_path, '[steps."training:train_modl"]\nmemory = "4Gi"')
    settings = load_settings(pod_variables(tmp_path, path))
    with pytest.raises(SettingsError, match=r"'training:train_modl'.*mean 'training:train_model'"):
        place_steps(USE_CASE, settings, [])
