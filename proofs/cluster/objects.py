"""The objects of a deployment, as its commands make them: those of an environment's overlay, those
of the official chart with its values, and the pods of all of them.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from include.errors import PlatformError
from include.settings import PROJECT_ROOT

FOLDER = PROJECT_ROOT / "docker" / "kubernetes"
ENVIRONMENTS = ("test", "staging", "production")
REPOSITORY, CHART_VERSION = "https://airflow.apache.org", "1.22.0"
RELEASE = "airflow"
SECONDS = 300.0
POD_TEMPLATE, CONFIG = "pod_template_file.yaml", "airflow-config"
IMAGE = f"registry.example.com/flightdeck/step@sha256:{'0' * 64}"
INERT = ("ServiceAccount", "Role", "RoleBinding")
"""Kinds that start nothing where they are made."""

Object = dict[str, Any]


def of_overlay(kubectl: str, folder: Path, environment: str, namespace: str) -> list[Object]:
    """The objects of an environment's overlay, in another namespace."""
    base = os.path.relpath(FOLDER / "overlays" / environment, folder.resolve())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": namespace,
        "resources": [base],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
    return read(_printed([kubectl, "kustomize", str(folder)]))


def of_chart(helm: str, chart: Path | None, environment: str, namespace: str) -> list[Object]:
    """The objects that the chart makes of an environment's values."""
    source = (
        [str(chart)]
        if chart is not None
        else ["airflow", "--repo", REPOSITORY, "--version", CHART_VERSION]
    )
    values = (FOLDER / "airflow" / f"values{name}.yaml" for name in ("", f"-{environment}"))
    options = [part for file in values for part in ("--values", str(file))]
    command = [helm, "template", RELEASE, *source, "--namespace", namespace, *options]
    return [in_namespace(item, namespace) for item in read(_printed(command))]


def read(documents: str) -> list[Object]:
    """The objects of YAML documents."""
    return [item for item in yaml.safe_load_all(documents) if item]


def in_namespace(item: Object, namespace: str) -> Object:
    """The object as `helm install` makes it: where the chart names no namespace, the release's."""
    metadata = {"namespace": namespace, **item["metadata"]}
    return {**item, "metadata": metadata}


def pods(objects: Sequence[Object], environment: str) -> Iterator[Object]:
    """The pod of each workload, and that of a task under KubernetesExecutor.

    A workload is taken without a look at its pods, which its controller makes later.
    """
    for item in objects:
        template = item.get("spec", {}).get("template")
        if template is not None:
            yield _pod(item, template, f"{environment}-{item['metadata']['name']}")
        elif item["kind"] == "ConfigMap" and item["metadata"]["name"] == CONFIG:
            (task,) = read(item["data"][POD_TEMPLATE])
            yield _pod(item, task, f"{environment}-airflow-task")


def _pod(owner: Object, template: Object, name: str) -> Object:
    metadata = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": template["metadata"].get("labels", {}),
    }
    spec = copy.deepcopy(template["spec"])
    for claim in owner.get("spec", {}).get("volumeClaimTemplates", ()):
        # As the controller names that of the first replica.
        disk = claim["metadata"]["name"]
        reference = {"claimName": f"{disk}-{owner['metadata']['name']}-0"}
        spec.setdefault("volumes", []).append({"name": disk, "persistentVolumeClaim": reference})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def inert(objects: Sequence[Object]) -> list[Object]:
    """Accounts and their roles."""
    return [item for item in objects if item["kind"] in INERT]


def pods_file(namespace: str) -> str:
    """A file of pods as docs/kubernetes.md says, in the words of docs/pods.md."""
    top = {
        "image": IMAGE,
        "namespace": namespace,
        "service_account": "flightdeck-step",
        "secret": "flightdeck-airflow",
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
    home = '{ path = "/var/flightdeck", claim = "flightdeck-home" }'
    accounts = '{ path = "/run/flightdeck/accounts", secret = "flightdeck-accounts" }'
    return "\n".join([*lines, f"mounts = [{home}, {accounts}]", ""])


def _printed(command: Sequence[str]) -> str:
    """What a program prints. Raises `PlatformError` with its words where it fails or is missing."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except OSError as error:
        raise PlatformError(
            f"{command[0]} cannot be run ({error.strerror}); install it, or name another."
        ) from error
    if done.returncode != 0:
        raise PlatformError(f"{' '.join(command[:4])} ... failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
