"""How a pod ended, from the status objects that Kubernetes' own client makes."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes.client import models as k8s

from plugins.pod_outcome import pod_outcome


def ended(code: int, reason: str = "Error", message: str | None = None) -> k8s.V1ContainerState:
    return k8s.V1ContainerState(
        terminated=k8s.V1ContainerStateTerminated(exit_code=code, reason=reason, message=message)
    )


def waiting(reason: str, message: str | None = None) -> k8s.V1ContainerState:
    return k8s.V1ContainerState(waiting=k8s.V1ContainerStateWaiting(reason=reason, message=message))


def pod(state: k8s.V1ContainerState | None = None, **status: Any) -> k8s.V1Pod:
    """A pod with one step and a sidecar that still runs."""
    running = k8s.V1ContainerState(running=k8s.V1ContainerStateRunning())
    states = {} if state is None else {"step": state, "airflow-xcom-sidecar": running}
    limits = k8s.V1ResourceRequirements(limits={"memory": "16Gi"})
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(name="train-x"),
        spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="step", resources=limits)]),
        status=k8s.V1PodStatus(
            container_statuses=[
                k8s.V1ContainerStatus(
                    name=name,
                    state=state_of_container,
                    image="i",
                    image_id="i",
                    ready=False,
                    restart_count=0,
                )
                for name, state_of_container in states.items()
            ],
            **status,
        ),
    )


def condition(kind: str, status: str, reason: str, message: str) -> k8s.V1PodCondition:
    return k8s.V1PodCondition(type=kind, status=status, reason=reason, message=message)


DISRUPTED = condition(
    "DisruptionTarget", "True", "PreemptionByScheduler", "a pod of higher priority came"
)
UNSCHEDULABLE = condition(
    "PodScheduled", "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient gpu."
)


@pytest.mark.parametrize(
    ("status", "kind", "code", "words"),
    [
        (pod(ended(0, "Completed")), "ended", 0, "ended with exit code 0"),
        (pod(ended(1)), "ended", 1, "ended with exit code 1"),
        (pod(ended(3)), "ended", 3, "ended with exit code 3"),
        (pod(ended(137, "OOMKilled")), "oom_killed", 137, "than it may (16Gi)"),
        (pod(ended(137)), "killed", 137, "killed by SIGKILL"),
        (pod(ended(143)), "killed", 143, "killed by SIGTERM"),
        (pod(ended(139)), "killed", 139, "killed by SIGSEGV"),
        (pod(ended(160)), "killed", 160, "killed by signal 32"),
        (
            pod(
                ended(137), phase="Failed", reason="Evicted", message="The node was low on memory."
            ),
            "evicted",
            None,
            "evicted from its node (The node was low on memory.)",
        ),
        (pod(phase="Failed", reason="Evicted"), "evicted", None, "evicted from its node."),
        (pod(ended(143), conditions=[DISRUPTED]), "evicted", None, "higher priority came"),
        (pod(phase="Failed", reason="DeadlineExceeded"), "deadline", None, "execution_timeout"),
        (pod(phase="Failed", reason="NodeLost"), "killed", None, "node of pod train-x went away"),
        (
            pod(waiting("ImagePullBackOff", "no such image")),
            "not_started",
            None,
            "ImagePullBackOff: no such image",
        ),
        (
            pod(ended(128, "StartError", "exec: python: not found")),
            "not_started",
            None,
            "StartError: exec: python: not found",
        ),
        (pod(phase="Pending", conditions=[UNSCHEDULABLE]), "not_started", None, "Insufficient gpu"),
        (
            pod(k8s.V1ContainerState(running=k8s.V1ContainerStateRunning())),
            "killed",
            None,
            "left while its step was still running",
        ),
        (None, "lost", None, "is gone before its step had ended"),
    ],
)
def test_how_a_pod_ended_is_told_with_what_to_do(status, kind, code, words):
    outcome = pod_outcome(status, "step", "train-x")
    assert (outcome.kind, outcome.exit_code) == (kind, code)
    assert words in outcome.text
    assert "train-x" in outcome.text
