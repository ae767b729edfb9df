"""As much of Kubernetes as a pod of a step needs: an API server whose pods are processes here.

It takes what the provider's own client sends, starts the first container's command with exactly its
arguments and environment, streams its log, answers the sidecar's `exec`, and lets a pod end as
nodes end pods. Only the folder of the result lies elsewhere: the pod's /airflow/xcom is its own.
"""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from include.settings import PROJECT_ROOT
from proofs.harness.ports import free_port

XCOM = "/airflow/xcom"
POD = "/api/v1/namespaces/{namespace}/pods"
MISSING = JSONResponse({"kind": "Status", "status": "Failure", "code": 404}, 404)
NO_STATE = {"ready": False, "restartCount": 0, "image": "i", "imageID": "i"}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def terminated(code: int, reason: str, message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


class RunningPod:
    """A pod: what was asked for, and the process of its first container."""

    def __init__(self, content: dict[str, Any], folder: Path, secrets: dict[str, str]) -> None:
        self.content = content
        self.folder = folder
        self.name = content["metadata"]["name"]
        self.log = folder / "log"
        self.states: dict[str, dict[str, Any]] = {
            item["name"]: {"running": {"startedAt": now()}}
            for item in content["spec"]["containers"]
        }
        self.pod_status: dict[str, Any] = {"phase": "Running", "startTime": now()}
        self.step = content["spec"]["containers"][0]
        self.leaving = False
        (folder / "xcom").mkdir()
        command = (*self.step["command"], *self.step["args"])
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                [item.replace(XCOM, f"{folder}/xcom") for item in command],
                env={"PATH": os.environ["PATH"], **environment_of(self.step, secrets)},
                cwd=PROJECT_ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> None:
        """Take over how the process ended, unless the pod is on its way out."""
        if self.leaving:
            return
        if "running" in self.states[self.step["name"]] and self.process.poll() is not None:
            code = self.process.returncode
            tail = self.log.read_text(errors="replace")[-2000:] if code else ""
            self.states[self.step["name"]] = terminated(
                code if code >= 0 else 128 - code, "Completed" if code == 0 else "Error", tail
            )

    def end(self, fate: str) -> None:
        """End the pod as a node or a person ends one."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if fate == "deleted":
            self.leaving = True
            return
        reason = "OOMKilled" if fate == "oom_killed" else "Error"
        self.states[self.step["name"]] = terminated(137, reason)
        if fate == "evicted":
            self.states = {name: terminated(137, "Error") for name in self.states}
            self.pod_status.update(
                phase="Failed", reason="Evicted", message="The node was low on resource: memory."
            )

    def end_sidecar(self) -> None:
        self.states["airflow-xcom-sidecar"] = terminated(0, "Completed")
        self.look()
        failed = "terminated" in self.states[self.step["name"]] and self.process.returncode
        self.pod_status["phase"] = "Failed" if failed else "Succeeded"

    def as_json(self) -> dict[str, Any]:
        statuses = [
            {**NO_STATE, "name": name, "state": state} for name, state in self.states.items()
        ]
        status = {**self.pod_status, "containerStatuses": statuses}
        return {**self.content, "status": status}


@dataclass
class Cluster:
    """The pods by name; `fates` are those of the next pods, by the order of their start."""

    folder: Path
    url: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    fates: list[str] = field(default_factory=list)
    pods: dict[str, RunningPod] = field(default_factory=dict)
    requested: list[dict[str, Any]] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)

    def create(self, content: dict[str, Any]) -> RunningPod:
        self.requested.append(copy.deepcopy(content))
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        pod = RunningPod(content, folder, self.secrets)
        self.pods[pod.name] = pod
        fate = self.fates.pop(0) if self.fates else ""
        if fate:
            pod.end(fate)
        if pod.leaving:
            threading.Timer(0.5, lambda: self.pods.pop(pod.name, None)).start()
        return pod

    def matching(self, selector: str) -> list[RunningPod]:
        """The pods whose labels meet the selector: `a=b`, `a!=b` and `!a`."""
        return [pod for pod in self.pods.values() if _meets(pod.content, selector)]

    def delete(self, pod: RunningPod) -> None:
        del self.pods[pod.name]
        self.deleted.append(pod.name)
        if pod.process.poll() is None:
            pod.process.kill()

    def stop(self) -> None:
        for pod in self.pods.values():
            if pod.process.poll() is None:
                pod.process.kill()
                pod.process.wait()

    def kube_config(self) -> dict[str, Any]:
        cluster = {"name": "c", "cluster": {"server": self.url}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        user = {"name": "u", "user": {"token": "t"}}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [cluster],
            "contexts": [context],
            "users": [user],
        }


def environment_of(container: dict[str, Any], secrets: dict[str, str]) -> dict[str, str]:
    """The container's variables as Kubernetes sets them: `$(NAME)` expanded, `$$` a dollar."""
    variables: dict[str, str] = dict(secrets) if container.get("envFrom") else {}
    for item in container["env"]:
        if "valueFrom" in item:
            variables[item["name"]] = secrets[item["valueFrom"]["secretKeyRef"]["key"]]
        else:
            variables[item["name"]] = re.sub(
                r"\$\$|\$\(([^)]+)\)",
                lambda match: "$" if match[1] is None else variables.get(match[1], match[0]),
                item["value"],
            )
    return variables


def _meets(content: dict[str, Any], selector: str) -> bool:
    labels = content["metadata"].get("labels") or {}
    for part in filter(None, selector.split(",")):
        name, unequal, value = part.partition("!=")
        if unequal and labels.get(name) == value:
            return False
        if part.startswith("!") and part[1:] in labels:
            return False
        if not unequal and "=" in part and labels.get(part.split("=")[0]) != part.split("=")[1]:
            return False
    return True


@dataclass
class Api:
    """The answers of the API server."""

    cluster: Cluster

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route(POD, self.pods, methods=["GET", "POST"]),
                Route(f"{POD}/{{name}}", self.pod, methods=["GET", "PATCH", "DELETE"]),
                Route(f"{POD}/{{name}}/log", self.log),
                WebSocketRoute(f"{POD}/{{name}}/exec", self.execute),
                Route("/api/v1/namespaces/{namespace}/events", self.events),
            ]
        )

    async def pods(self, request: Request) -> Response:
        if request.method == "POST":
            return JSONResponse(self.cluster.create(await request.json()).as_json(), 201)
        matching = self.cluster.matching(request.query_params.get("labelSelector", ""))
        items = [pod.as_json() for pod in matching]
        return JSONResponse({"kind": "PodList", "apiVersion": "v1", "items": items})

    async def pod(self, request: Request) -> Response:
        pod = self.cluster.pods.get(request.path_params["name"])
        if pod is None:
            return MISSING
        pod.look()
        if request.method == "PATCH":
            pod.content["metadata"]["labels"].update((await request.json())["metadata"]["labels"])
        if request.method == "DELETE":
            self.cluster.delete(pod)
        return JSONResponse(pod.as_json())

    async def log(self, request: Request) -> Response:
        pod = self.cluster.pods.get(request.path_params["name"])
        return MISSING if pod is None else StreamingResponse(_lines(pod), media_type="text/plain")

    async def events(self, _: Request) -> Response:
        return JSONResponse({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": []})

    async def execute(self, socket: WebSocket) -> None:
        """A command in the sidecar: one that prints the result, or a shell that ends it."""
        await socket.accept(subprotocol="v4.channel.k8s.io")
        pod = self.cluster.pods[socket.path_params["name"]]
        command = socket.query_params.getlist("command")
        if len(command) > 1:
            command = [part.replace(XCOM, str(pod.folder / "xcom")) for part in command]
            ended = subprocess.run(command, capture_output=True, check=False)
            await socket.send_bytes(b"\x01" + ended.stdout)
        else:
            await socket.receive()
            pod.end_sidecar()
        await socket.close()


def _lines(pod: RunningPod) -> Iterator[bytes]:
    """The log with a time before each line, until the process has ended."""
    with pod.log.open("rb") as file:
        while True:
            ended = pod.process.poll() is not None
            for line in file:
                yield f"{now()} ".encode() + line.rstrip(b"\n") + b"\n"
            if ended:
                return
            time.sleep(0.05)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    port = free_port()
    cluster = Cluster(folder, url=f"http://127.0.0.1:{port}")
    config = uvicorn.Config(
        Api(cluster).application(), host="127.0.0.1", port=port, log_level="warning", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield cluster
    finally:
        cluster.stop()
        server.should_exit = True
        thread.join(10)
