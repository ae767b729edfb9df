"""`flightdeck faults kubernetes` on an API server that takes whatever it gets: what is asked, and
that a line says so where an answer is not as expected.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.errors import PlatformError
from include.settings.pods import read_pods
from proofs.cluster import objects
from proofs.cluster.api_server import LABELS, ApiServer, connect, core_rights
from proofs.cluster.lines import object_lines, rights, wrong

KUBECTL = str(Path(sys.executable).with_name("kubectl"))
CHART = """
apiVersion: v1
kind: ConfigMap
metadata: {name: airflow-config}
data:
  pod_template_file.yaml: |
    apiVersion: v1
    kind: Pod
    metadata: {name: placeholder, labels: {tier: airflow}}
    spec: {serviceAccountName: airflow-worker, containers: [{name: base}], volumes: []}
---
---
apiVersion: batch/v1
kind: Job
metadata: {name: airflow-migrations, namespace: of-the-chart}
spec: {template: {metadata: {}, spec: {serviceAccountName: airflow-job, volumes: []}}}
"""
RULES = [{"apiGroups": ["*"], "resources": ["pods", "pods/log", "pods/exec"], "verbs": ["*"]}]
EVENTS = {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}


class Answers(BaseHTTPRequestHandler):
    """Takes everything but a namespace and a ConfigMap, warns of claims, and gives workers' pods a
    token.
    """

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append(self.path)  # type: ignore[attr-defined]
        status, answer = 201, body
        if body["kind"] in ("Namespace", "ConfigMap"):
            status, answer = 409, {"message": f"{body['metadata']['name']} already exists"}
        elif body["kind"] == "SelfSubjectRulesReview":
            is_worker = self.headers["Impersonate-User"].endswith(":airflow-worker")
            answer = {"status": {"resourceRules": [*RULES, EVENTS] if is_worker else []}}
        elif body["kind"] == "Pod" and body["spec"]["serviceAccountName"] == "airflow-worker":
            answer["spec"]["volumes"].append({"name": "kube-api-access-x"})
        content = json.dumps(answer).encode()
        self.send_response(status)
        if body["kind"] == "PersistentVolumeClaim":
            self.send_header("Warning", '299 - "there is no \\"class\\"", 299 - "two"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def listening() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(listening: ThreadingHTTPServer, tmp_path: Path) -> ApiServer:
    """Reached by a kubeconfig, as any other."""
    listening.calls = []  # type: ignore[attr-defined]
    address = f"http://127.0.0.1:{listening.server_address[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "this", "context": {"cluster": "here", "user": "me"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    return connect(tmp_path / "kubeconfig", "this", "proof")


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return objects.of_overlay(KUBECTL, tmp_path_factory.mktemp("overlay"), "staging", "proof")


def test_an_overlay_is_asked_about_in_the_proofs_own_namespace(
    overlay: list[dict[str, Any]],
) -> None:
    assert {item["metadata"]["namespace"] for item in overlay} == {"proof"}
    pods = {pod["metadata"]["name"]: pod for pod in objects.pods(overlay, "staging")}
    assert pods.keys() == {"staging-mlflow", "staging-serving"}
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pods["staging-serving"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {"home-serving-0"}, "without it the pod would mount what it does not have"
    (stateful,) = (item for item in overlay if item["kind"] == "StatefulSet")
    assert len(stateful["spec"]["template"]["spec"]["volumes"]) == 3, "the object stays as it is"
    assert {item["kind"] for item in objects.inert(overlay)} == {"ServiceAccount"}


def test_every_object_is_created_strictly_and_dry(
    server: ApiServer, listening: ThreadingHTTPServer, overlay: list[dict[str, Any]]
) -> None:
    line, _ = object_lines(server, "staging", overlay, [])
    calls = listening.calls  # type: ignore[attr-defined]
    assert len(calls) == len(overlay)
    assert all(call.endswith("?fieldValidation=Strict&dryRun=All") for call in calls)
    assert any(call.startswith("/apis/apps/v1/namespaces/proof/statefulsets?") for call in calls)
    assert any(call.startswith("/api/v1/namespaces/proof/services?") for call in calls)
    assert not line.holds
    assert line.seen.startswith(f"{len(overlay) - 2} of {len(overlay)} taken, ")
    assert "flightdeck-airflow-settings already exists" in line.seen
    assert 'PersistentVolumeClaim flightdeck-home: there is no "class"' in line.seen
    assert "PersistentVolumeClaim flightdeck-home: two" in line.seen


def test_a_kind_that_no_deployment_has_is_refused(server: ApiServer) -> None:
    unknown = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    with pytest.raises(PlatformError, match="Nothing is known of the kind Node"):
        server.would_take([unknown])


def test_the_pod_of_a_task_comes_of_the_charts_configuration() -> None:
    found = [objects.in_namespace(item, "proof") for item in objects.read(CHART)]
    assert [item["metadata"]["namespace"] for item in found] == ["proof", "of-the-chart"]
    task, job = objects.pods(found, "test")
    assert (task["metadata"]["name"], task["metadata"]["labels"]) == (
        "test-airflow-task",
        {"tier": "airflow"},
    )
    assert job["spec"]["serviceAccountName"] == "airflow-job"


def test_rights_of_other_groups_are_none_of_pods() -> None:
    rules = [
        {"apiGroups": ["apps"], "resources": ["pods"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": ["*"], "resources": ["events"], "verbs": ["*"]},
        {"verbs": ["get"], "nonResourceURLs": ["/healthz"]},
    ]
    found = core_rights(rules)
    assert ("pods/log", "get") in found
    assert ("events", "delete") in found
    assert ("pods", "create") not in found


def test_an_account_without_its_rights_is_a_line_that_does_not_hold(server: ApiServer) -> None:
    names = ("airflow-worker", "airflow-scheduler", "flightdeck-step")
    accounts = [{"kind": "ServiceAccount", "metadata": {"name": name}} for name in names]
    made = [objects.in_namespace(item, "proof") for item in objects.read(CHART)]
    tokens, line = rights(server, [*accounts, *made])
    assert (tokens.holds, tokens.seen) == (False, "airflow-worker")
    assert not line.holds, "the scheduler may nothing"
    assert line.seen.startswith("handle pods: airflow-worker; change pods: airflow-worker;")
    assert line.seen.endswith("read Secrets: nobody")


def test_what_is_wrong_and_is_taken_is_a_line_that_does_not_hold(
    server: ApiServer, overlay: list[dict[str, Any]]
) -> None:
    lines = wrong(server, overlay)
    assert {line.seen for line in lines} == {"taken, for something else"}
    assert [line.holds for line in lines] == [False] * 4


def test_a_namespace_that_is_there_is_left_alone(server: ApiServer) -> None:
    with pytest.raises(PlatformError, match="proof already exists"):
        server.create_namespace()
    assert LABELS["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_cluster_is_told_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="--kubeconfig"):
        connect(tmp_path / "nothing", None, "proof")


def test_the_file_of_pods_is_valid_and_gives_every_step_a_pod(tmp_path: Path) -> None:
    path = tmp_path / "pods.toml"
    path.write_text(objects.pods_file("proof"))
    template = read_pods(path).template("flight_delays", "features:ingest_source")
    assert (template.target, template.namespace) == ("pods", "proof")
    assert template.writable("/var/flightdeck")
