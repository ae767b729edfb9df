"""An API server, in one namespace that the proof makes and takes away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, new_client_from_config
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError

from include.errors import PlatformError

PROFILE = "restricted"
LABELS = {
    "flightdeck.io/proof": "true",
    # A pod that may more is refused; of a workload whose pods would may more, a warning says so.
    "pod-security.kubernetes.io/enforce": PROFILE,
    "pod-security.kubernetes.io/warn": PROFILE,
}
RESOURCES = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Job": "jobs",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
}
"""Every kind that a deployment has, as addresses name it."""
INJECTED = "kube-api-access-"
"""How the volume with a service account's token begins."""
STRICT = ("fieldValidation", "Strict")
DRY = ("dryRun", "All")
CORE_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
SECONDS = 60.0
WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Verdict:
    """`taken` objects of `total`; `problems` are what the API server says against any of them, its
    warnings too.
    """

    taken: int
    total: int
    problems: tuple[str, ...]

    @property
    def text(self) -> str:
        """For a table."""
        against = " / ".join(self.problems) or "nothing against them"
        return f"{self.taken} of {self.total} taken, {against}"


class ApiServer:
    """The server that `client` speaks to; `namespace` is the proof's own."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self._client = client
        self.namespace = namespace

    def would_take(self, objects: Sequence[Mapping[str, Any]]) -> Verdict:
        """Whether it would make the objects: nothing is made. Fields that it does not know, and
        what its admission forbids, are refused.
        """
        taken, problems = 0, list[str]()
        for item in objects:
            try:
                warnings = list(warnings_of(self._create(item, DRY)))
            except ApiException as error:
                problems.append(f"{name_of(item)}: {reason(error)}")
                continue
            taken += 1
            problems += [f"{name_of(item)}: {warning}" for warning in warnings]
        return Verdict(taken, len(objects), tuple(problems))

    def make(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Make objects. Raises `PlatformError` for one that is refused."""
        for item in objects:
            try:
                self._create(item)
            except ApiException as error:
                raise PlatformError(f"{name_of(item)} is refused: {reason(error)}") from error

    def gives_token(self, pod: Mapping[str, Any]) -> bool:
        """Whether the pod would get its service account's token: its admission adds the volume."""
        made = json.loads(self._create(pod, DRY).data)
        return any(volume["name"].startswith(INJECTED) for volume in made["spec"]["volumes"])

    def rights(self, account: str) -> set[tuple[str, str]]:
        """What a service account may in the namespace: resources of the core group with verbs."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": self.namespace},
        }
        account_groups = ("system:serviceaccounts", f"system:serviceaccounts:{self.namespace}")
        answer = self._ask(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            body=review,
            account=f"system:serviceaccount:{self.namespace}:{account}",
            groups=("system:authenticated", *account_groups),
        )
        rules: list[dict[str, Any]] = json.loads(answer.data)["status"]["resourceRules"]
        return core_rights(rules)

    def create_namespace(self) -> None:
        """Make the namespace. Raises `PlatformError` where it is there: it is somebody's."""
        metadata = {"name": self.namespace, "labels": LABELS}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        try:
            self._ask("POST", "/api/v1/namespaces", body=namespace)
        except ApiException as error:
            raise PlatformError(
                f"The namespace {self.namespace} cannot be made: {reason(error)}"
            ) from error

    def remove_namespace(self) -> None:
        """Take the namespace away; the cluster's controllers take what is in it by and by."""
        self._ask("DELETE", f"/api/v1/namespaces/{self.namespace}")

    def version(self) -> str:
        """What it says of itself. Raises `PlatformError` where none is reached."""
        try:
            return str(json.loads(self._ask("GET", "/version").data)["gitVersion"])
        except (ApiException, HTTPError) as error:
            raise PlatformError(
                f"No API server is reached ({error}): name a cluster by --kubeconfig or --context."
            ) from error

    def _create(self, item: Mapping[str, Any], *options: tuple[str, str]) -> Any:
        return self._ask("POST", address(item, self.namespace), body=item, query=(STRICT, *options))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Sequence[tuple[str, str]] = (),
        account: str | None = None,
        groups: Sequence[str] = (),
    ) -> Any:
        headers: dict[str, str] = {"Content-Type": "application/json", "Accept": "application/json"}
        if account is not None:
            headers["Impersonate-User"] = account
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        fields = [*headers.items(), *(("Impersonate-Group", group) for group in groups)]
        host = self._client.configuration.host
        question = "&".join(f"{name}={value}" for name, value in query)
        answer = self._client.rest_client.pool_manager.request(
            method,
            f"{host}{path}" + (f"?{question}" if question else ""),
            body=None if body is None else json.dumps(body, default=str),
            headers=_several(fields),
            timeout=SECONDS,
        )
        if answer.status >= 300:
            raise ApiException(status=answer.status, reason=answer.data.decode(errors="replace"))
        return answer


def _several(fields: Sequence[tuple[str, str]]) -> Any:
    """Headers of which one may stand several times."""
    headers = HTTPHeaderDict()
    for name, value in fields:
        headers.add(name, value)
    return headers


def connect(kubeconfig: Path | None, context: str | None, namespace: str) -> ApiServer:
    """The API server that a kubeconfig leads to. Raises `PlatformError` where none does."""
    try:
        client = new_client_from_config(
            config_file=str(kubeconfig) if kubeconfig else None, context=context
        )
    except ConfigException as error:
        raise PlatformError(
            f"No cluster is configured ({error}): name a kubeconfig by --kubeconfig."
        ) from error
    return ApiServer(client, namespace)


def address(item: Mapping[str, Any], namespace: str) -> str:
    """Where objects of this kind are made in the namespace."""
    version, kind = item["apiVersion"], item["kind"]
    if kind not in RESOURCES:
        raise PlatformError(f"Nothing is known of the kind {kind}; valid are {sorted(RESOURCES)}.")
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{RESOURCES[kind]}"


def name_of(item: Mapping[str, Any]) -> str:
    """Kind and name."""
    return f"{item['kind']} {item['metadata']['name']}"


def reason(error: ApiException) -> str:
    """The sentence of a refusal."""
    text = str(error.reason)
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]


def warnings_of(answer: Any) -> Iterator[str]:
    """The warnings beside an answer."""
    for value in answer.headers.getlist("Warning"):
        yield from (text.replace('\\"', '"') for text in WARNING.findall(value))


def core_rights(rules: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The rules of the core group, each resource with each verb; `*` is all of them."""
    pairs = set[tuple[str, str]]()
    for rule in rules:
        if not {"", "*"} & set(rule.get("apiGroups") or ()):
            continue
        verbs = CORE_VERBS if "*" in rule["verbs"] else rule["verbs"]
        pairs |= {(resource, verb) for resource in rule.get("resources") or () for verb in verbs}
    return pairs
