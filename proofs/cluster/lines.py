"""What must be seen of a real API server, a line each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

from proofs.cluster import objects
from proofs.cluster.api_server import ApiServer, Verdict
from proofs.cluster.objects import Object
from proofs.faults.line import Line

HANDLE_PODS = ("airflow-scheduler", "airflow-worker")
READ_LOGS = ("airflow-api-server", *HANDLE_PODS)
NEEDED = {
    *(("pods", verb) for verb in ("create", "get", "list", "watch", "patch", "delete")),
    ("pods/log", "get"),
    *(("pods/exec", verb) for verb in ("get", "create")),
    ("events", "list"),
}
"""What docs/pods.md says that a worker needs."""
CHANGES = {("pods", "create"), ("pods", "delete"), ("pods", "patch"), ("pods", "update")}


def object_lines(
    server: ApiServer, environment: str, overlay: Sequence[Object], chart: Sequence[Object]
) -> list[Line]:
    """An environment's objects."""
    return [
        taken(f"{environment}: the overlay's objects", server.would_take(overlay)),
        taken(f"{environment}: the chart's objects", server.would_take(chart)),
    ]


def pod_line(server: ApiServer, environment: str, made: Sequence[Object]) -> Line:
    """The pods that an environment's workloads and KubernetesExecutor make."""
    pods = list(objects.pods(made, environment))
    return taken(f"{environment}: the pods of all workloads and of a task", server.would_take(pods))


def taken(what: str, verdict: Verdict) -> Line:
    """All of the objects, without a word against them."""
    expected = Verdict(verdict.total, verdict.total, ())
    return Line(what, expected.text, verdict.text, "server-side, by the profile restricted")


def rights(server: ApiServer, made: Sequence[Object]) -> list[Line]:
    """Who may handle pods and has the token for it, and that nobody reads a Secret, by the API
    server's own answers.
    """
    accounts = sorted(item["metadata"]["name"] for item in made if item["kind"] == "ServiceAccount")
    may = {account: server.rights(account) for account in accounts}
    tokens = {
        pod["spec"]["serviceAccountName"]
        for pod in objects.pods(made, "tokens")
        if server.gives_token(pod)
    }
    enough = [account for account in accounts if may[account] >= NEEDED and account in tokens]
    changing = [account for account in accounts if may[account] & CHANGES and account in tokens]
    logs = [
        account for account in accounts if ("pods/log", "get") in may[account] and account in tokens
    ]
    secret = [
        account
        for account in accounts
        if any(resource in ("secrets", "*") for resource, _ in may[account])
    ]
    without = [account for account in accounts if may[account] & CHANGES and account not in tokens]
    return [
        Line(
            "whose pods have a token",
            ", ".join(sorted(READ_LOGS)),
            ", ".join(sorted(tokens)),
            f"{len(accounts)} accounts",
        ),
        Line(
            "what each account may, by a token that its pod has",
            f"handle pods: {', '.join(HANDLE_PODS)}; change pods: {', '.join(HANDLE_PODS)};"
            f" read logs: {', '.join(READ_LOGS)}; read Secrets: nobody",
            f"handle pods: {', '.join(enough)}; change pods: {', '.join(changing)};"
            f" read logs: {', '.join(logs)}; read Secrets: {', '.join(secret) or 'nobody'}",
            f"the chart's role and no token: {', '.join(without) or 'nobody'}",
        ),
    ]


def wrong(server: ApiServer, overlay: Sequence[Object]) -> list[Line]:
    """The API server does refuse: else all that stands above would say nothing."""
    (stateful,) = (item for item in overlay if item["kind"] == "StatefulSet")
    (pod,) = objects.pods([stateful], "wrong")
    changes: dict[str, tuple[Object, str, Callable[[Object], None]]] = {
        "a misspelt field": (
            stateful,
            "unknown field",
            lambda spec: spec["template"]["spec"].update(enableServiceLink=False),
        ),
        "a pod that is root": (
            pod,
            "violates PodSecurity",
            lambda spec: spec["securityContext"].update(runAsNonRoot=False, runAsUser=0),
        ),
        "a pod of an account that is not there": (
            pod,
            "serviceaccount",
            lambda spec: spec.update(serviceAccountName="flightdeck-nobody"),
        ),
        "more memory requested than allowed": (
            pod,
            "memory limit",
            lambda spec: spec["containers"][0]["resources"]["requests"].update(memory="64Gi"),
        ),
    }
    lines = []
    for what, (item, words, change) in changes.items():
        planted = copy.deepcopy(item)
        change(planted["spec"])
        verdict = server.would_take([planted])
        text = " ".join(verdict.problems)
        refused = "refused" if not verdict.taken else "taken"
        named = "with the reason" if words in text else "for something else"
        lines.append(
            Line(what, "refused, with the reason", f"{refused}, {named}", text[:200] or "no reason")
        )
    return lines
