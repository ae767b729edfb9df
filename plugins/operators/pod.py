"""One step in a pod of its own, through `KubernetesPodOperator`.

`plugins.operators.step` imports this module when a step runs in a pod: its imports take seconds.
"""

from __future__ import annotations

import copy
from typing import Any

from airflow.exceptions import AirflowException
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager, PodPhase
from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults
from airflow.sdk import Context
from kubernetes.client import V1Pod
from kubernetes.client.exceptions import ApiException
from pydantic import ValidationError

from include.errors import FlightdeckError, PodLost, SpecError
from include.settings.pods import PodTemplate
from include.step_documents import EXIT_CODES, REFUSED, WRONG, StepReport
from include.steps import Step, StepContext, StepResult
from plugins.pod_outcome import PodOutcome, pod_outcome
from plugins.pod_request import PodCall, pod_arguments

SIDECAR = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
START_MARGIN = 60
"""Seconds by which a pod outlives its task's time-out, which ends it first."""
LAST_LINES = 3
CALL_LABEL = "flightdeck-call"


class StepPodManager(PodManager):
    """Does not wait for the sidecar of a pod that has ended."""

    def await_xcom_sidecar_container_start(self, pod: V1Pod, *args: Any, **kwargs: Any) -> None:
        """Wait until the sidecar runs. Raises `AirflowException` where it never will."""
        phase = self.read_pod(pod).status.phase
        if phase in PodPhase.terminal_states:
            raise AirflowException(f"Pod {pod.metadata.name} has ended ({phase}) with its result.")
        super().await_xcom_sidecar_container_start(pod, *args, **kwargs)


class StepPodOperator(KubernetesPodOperator):
    """Runs one step in a pod, streams its log, and reads how it ended.

    :param call: the step, and what it is called with.
    :param sidecar_image: the image of the container that hands the result over.
    """

    def __init__(self, *, call: PodCall, sidecar_image: str, **kwargs: Any) -> None:
        super().__init__(task_id=call.step.replace(":", "."), **kwargs)
        self.call = call
        self.sidecar_image = sidecar_image
        self.last_pod: V1Pod | None = None
        self.report: Any = None
        self._manager: StepPodManager | None = None

    @property
    def pod_manager(self) -> StepPodManager:
        """The provider's, with what a pod that was evicted needs."""
        if self._manager is None:
            self._manager = StepPodManager(kube_client=self.client, callbacks=self.callbacks)
        return self._manager

    @pod_manager.deleter
    def pod_manager(self) -> None:
        self._manager = None  # credentials have expired

    def build_pod_request_obj(
        self, context: Context | None = None, *, dry_run: bool = False
    ) -> V1Pod:
        """The pod, whose sidecar has our image and bounds."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        # A Service named flightdeck-serving would set FLIGHTDECK_SERVING_PORT in every pod.
        pod.spec.enable_service_links = False
        for container in pod.spec.containers:
            if container.name == PodDefaults.SIDECAR_CONTAINER_NAME:
                container.image = self.sidecar_image
                container.image_pull_policy = self.image_pull_policy
                container.resources = copy.deepcopy(SIDECAR)
        return pod

    def run(self, context: Context) -> StepReport:
        """Start the pod, or find that of an earlier try, and wait for its end.

        Raises `PodLost` for a pod that was ended from outside or left no report, and what the
        provider raises where Kubernetes could not be reached.
        """
        try:
            self.execute_sync(context)
        except (AirflowException, ApiException) as error:
            if self.pod is None:
                raise
            self.log.warning("%s", error)
        name = self.pod.metadata.name if self.pod else self.name
        outcome = pod_outcome(self.last_pod, self.base_container_name, name)
        return self._reported(outcome)

    def cleanup(
        self,
        pod: V1Pod,
        remote_pod: V1Pod,
        xcom_result: Any = None,
        context: Context | None = None,  # noqa: ARG002  # the provider's signature
    ) -> None:
        """Read the pod a last time, and delete it. Whether it failed says its report."""
        self.report = xcom_result
        if self._killed or not remote_pod:
            return
        try:
            self.last_pod = self.pod_manager.read_pod(remote_pod)
        except ApiException as error:
            if error.status != 404:
                raise
            return
        if pod_outcome(self.last_pod, self.base_container_name, pod.metadata.name).kind != "ended":
            self._read_pod_container_states(remote_pod, reraise=False)
            self._read_pod_events(remote_pod, reraise=False)
        # Until it is deleted a later call of this task must not take it for its own.
        self.patch_already_checked(self.last_pod, reraise=False)
        self.process_pod_deletion(self.last_pod, reraise=False)

    def _get_pod_from_task_state_store(self, context: Context) -> V1Pod | None:
        """The pod of an earlier try, unless it runs another step of this task."""
        pod = super()._get_pod_from_task_state_store(context)
        if pod is None or (pod.metadata.labels or {}).get(CALL_LABEL) != self.labels[CALL_LABEL]:
            return None
        return pod

    def _reported(self, outcome: PodOutcome) -> StepReport:
        """What the pod says of its step, as far as that agrees with how it ended."""
        if outcome.kind != "ended":
            raise PodLost(outcome.text)
        try:
            report = StepReport.model_validate(self.report)
        except ValidationError:
            report = None
        if report is not None and EXIT_CODES[report.outcome] == outcome.exit_code:
            return report
        text = f"{outcome.text} It left no report of its own; {self._last_lines()}"
        if outcome.exit_code in (WRONG, REFUSED):
            return StepReport.of_error(SpecError(text))
        raise PodLost(text)

    def _last_lines(self) -> str:
        """The end of its log, which Kubernetes keeps of a container that failed."""
        statuses = self.last_pod.status.container_statuses if self.last_pod else None
        for status in statuses or ():
            ended = status.state.terminated if status.name == self.base_container_name else None
            lines = (ended.message or "").splitlines() if ended is not None else []
            if last := [line.strip() for line in lines if line.strip()][-LAST_LINES:]:
                return f"its log ends with: {' / '.join(last)}"
        return "its log stands above."


def pod_operator(
    call: PodCall, template: PodTemplate, context: StepContext, timeout: float | None
) -> StepPodOperator:
    """The operator of one call; `timeout` is the task's own, in seconds."""
    deadline = None if timeout is None else int(timeout) + template.start_seconds + START_MARGIN
    return StepPodOperator(
        call=call,
        sidecar_image=template.sidecar_image or template.image,
        **pod_arguments(call, template, context.settings, deadline),
    )


def result_in_pod(operator: StepPodOperator, context: Context, step: Step) -> StepResult:
    """The step's result; a refusal and an error come back as they do in process."""
    report = operator.run(context)
    try:
        return report.result_of(step)
    except FlightdeckError:
        operator.log.info("the pod of %s reports: %s", operator.call.step, report.outcome)
        raise
