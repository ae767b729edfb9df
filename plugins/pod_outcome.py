"""How a pod ended, from what Kubernetes says of it: by itself, or ended from outside.

Kubernetes tells it in four places: the container's state, the pod's phase and reason, the condition
`DisruptionTarget`, and nowhere, when the pod is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["ended", "oom_killed", "evicted", "deadline", "killed", "not_started", "lost"]
SIGNALS = {130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}


@dataclass(frozen=True)
class PodOutcome:
    """How a pod ended.

    `ended`: its process ended by itself, with `exit_code`. Any other kind came from outside and
    says nothing about the step, which is tried again.
    """

    kind: Kind
    text: str
    exit_code: int | None = None


def pod_outcome(pod: Any, container: str, name: str) -> PodOutcome:
    """How `container` of the `V1Pod` ended; `pod` is None where there is none any more.

    The text is a sentence for people: what happened, and what to do.
    """
    if pod is None or pod.status is None:
        return PodOutcome(
            "lost",
            f"Pod {name} is gone before its step had ended: it was deleted, or its node was.",
        )
    return _by_pod(pod, name) or _by_container(pod, container, name)


def _by_pod(pod: Any, name: str) -> PodOutcome | None:
    """What ended the pod as a whole."""
    status = pod.status
    detail = f" ({status.message.strip()})" if status.message else ""
    if status.reason == "Evicted":
        return PodOutcome("evicted", f"Pod {name} was evicted from its node{detail}.")
    if status.reason == "DeadlineExceeded":
        return PodOutcome(
            "deadline",
            f"Pod {name} ran longer than its task may{detail}: raise the task's"
            " execution_timeout, or give the step more processors.",
        )
    for condition in status.conditions or ():
        if condition.type == "DisruptionTarget" and condition.status == "True":
            reason = (
                f"{condition.reason}: {condition.message}"
                if condition.message
                else (condition.reason)
            )
            return PodOutcome("evicted", f"Pod {name} was evicted from its node ({reason}).")
    if status.reason in ("NodeLost", "Shutdown", "NodeShutdown", "Terminated"):
        return PodOutcome("killed", f"The node of pod {name} went away{detail}.")
    return None


def _by_container(pod: Any, container: str, name: str) -> PodOutcome:
    states = {item.name: item.state for item in pod.status.container_statuses or ()}
    state = states.get(container)
    if state is None:
        return PodOutcome("not_started", f"Pod {name} was never started.{_pending(pod)}")
    if state.terminated is not None:
        return _by_termination(pod, container, state.terminated, name)
    if state.waiting is not None:
        detail = f": {state.waiting.message}" if state.waiting.message else ""
        return PodOutcome(
            "not_started", f"Pod {name} was not started: {state.waiting.reason}{detail}."
        )
    return PodOutcome("killed", f"Pod {name} was left while its step was still running.")


def _by_termination(pod: Any, container: str, terminated: Any, name: str) -> PodOutcome:
    code = terminated.exit_code
    if terminated.reason == "OOMKilled":
        return PodOutcome(
            "oom_killed",
            f"Pod {name} took more memory than it may ({_memory(pod, container)}) and was killed:"
            " raise `memory` of this step in the file of pods.",
            code,
        )
    if terminated.reason in ("ContainerCannotRun", "StartError", "ContainerStatusUnknown"):
        detail = f": {terminated.message.strip()}" if terminated.message else ""
        return PodOutcome("not_started", f"Pod {name} did not run: {terminated.reason}{detail}.")
    if code > 128:
        signal = SIGNALS.get(code, f"signal {code - 128}")
        return PodOutcome("killed", f"The step in pod {name} was killed by {signal}.", code)
    return PodOutcome("ended", f"The step in pod {name} ended with exit code {code}.", code)


def _memory(pod: Any, container: str) -> str:
    limits = [
        item.resources.limits.get("memory")
        for item in (pod.spec.containers if pod.spec else ())
        if item.name == container and item.resources and item.resources.limits
    ]
    return str(limits[0]) if limits and limits[0] else "no limit of its own"


def _pending(pod: Any) -> str:
    """Why no node took the pod, where Kubernetes says it."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return f" {condition.reason}: {condition.message}"
    return ""
