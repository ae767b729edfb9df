"""A step as a pod: what `KubernetesPodOperator` is called with, from a template and a call.

Whatever the settings hold that could be a password never stands in a pod's specification, which
many people and programs can read: the pod gets it from a Secret.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any

from include.errors import SettingsError
from include.settings import PREFIX, Settings
from include.settings.object_storage import ENDPOINTS, REGIONS
from include.settings.online_store import masked
from include.settings.pods import PodTemplate
from include.step_documents import pack

DOCUMENT = "STEP_DOCUMENT"
"""The variable with what the step is called with."""
FOLDER = "/airflow/xcom"
REPORT = f"{FOLDER}/return.json"
"""What Airflow's sidecar hands over."""
CONTAINER = "step"
NOT_IN_PODS = frozenset(
    {
        "airflow_database",
        "environment",
        "executor",
        "mlflow_artifacts",
        "mlflow_database",
        "pods_file",
        "service_account",
        "target",
    }
)
LABEL_CHARACTERS = 63
SCRATCH = "/tmp"  # noqa: S108  # the container's own


@dataclass(frozen=True)
class PodCall:
    """One call of a step in a pod: `step` as `training:train_model`, and its document."""

    use_case: str
    process: str
    step: str
    document: dict[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """What tells the pods of one task from each other.

        `flightdeck-call` is the same for every try of one call, so that a try whose worker died is
        found again by the next one, and no other step's pod is taken for it.
        """
        context = self.document["context"]
        run = {**context["run"], "try_number": 0}
        call = {**self.document, "context": {**context, "run": run}, "step": self.step}
        digest = hashlib.sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()
        return {
            "app.kubernetes.io/name": "flightdeck-step",
            "flightdeck-use-case": self.use_case[:LABEL_CHARACTERS].strip("_-."),
            "flightdeck-process": self.process,
            "flightdeck-step": self.step.replace(":", ".")[:LABEL_CHARACTERS].strip("_-."),
            "flightdeck-call": digest[:32],
        }

    @property
    def name(self) -> str:
        """The beginning of the pod's name."""
        return f"{self.use_case}-{self.step.partition(':')[2]}".replace("_", "-").lower()[:50]


def pod_arguments(
    call: PodCall, template: PodTemplate, settings: Settings, deadline: int | None = None
) -> dict[str, Any]:
    """The arguments of `KubernetesPodOperator`; `deadline` in seconds ends the pod by itself.

    Raises `SettingsError` where a secret has no Secret to come from, `SpecError` for a document
    that is too long.
    """
    from kubernetes.client import models as k8s

    return {
        "name": call.name,
        "labels": call.labels,
        "namespace": template.namespace,
        "kubernetes_conn_id": template.connection,
        "image": template.image,
        "image_pull_policy": template.pull_policy,
        "image_pull_secrets": [k8s.V1LocalObjectReference(name) for name in template.pull_secrets],
        "cmds": [template.python, "-m", "include.processes.run"],
        "arguments": [call.step, "--input-variable", DOCUMENT, "--report", REPORT],
        "env_vars": [
            *_environment(call, template, settings),
            k8s.V1EnvVar(DOCUMENT, pack(call.document, call.step)),
        ],
        "env_from": _env_from(template),
        "container_resources": resources(template),
        "node_selector": dict(template.node_selector),
        "tolerations": [_toleration(item) for item in template.tolerations],
        "priority_class_name": template.priority_class,
        "service_account_name": template.service_account or settings.service_account,
        # A step asks nothing of Kubernetes.
        "automount_service_account_token": False,
        "security_context": {
            "runAsNonRoot": True,
            "runAsUser": template.user,
            "runAsGroup": template.user,
            "fsGroup": template.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "container_security_context": confined(),
        "xcom_sidecar_container_security_context": confined(),
        "volumes": _volumes(template),
        "volume_mounts": _mounts(template),
        "startup_timeout_seconds": template.start_seconds,
        "schedule_timeout_seconds": template.start_seconds,
        "active_deadline_seconds": deadline,
        "base_container_name": CONTAINER,
        # The last lines of the log, where a step could leave no report.
        "termination_message_policy": "FallbackToLogsOnError",
        "container_name_log_prefix_enabled": False,
        "log_pod_spec_on_failure": False,
        "do_xcom_push": True,
        "deferrable": False,
    }


def confined() -> dict[str, Any]:
    """What a container may not: anything that a step does not need."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def resources(template: PodTemplate) -> Any:
    """Requests and limits. Memory has one figure for both: what is promised is there."""
    from kubernetes.client import models as k8s

    limits: dict[str, str] = {"memory": template.memory}
    if template.cpu_limit is not None:
        limits["cpu"] = template.cpu_limit
    if template.gpu:
        limits[template.gpu_resource] = str(template.gpu)
    return k8s.V1ResourceRequirements(
        requests={"cpu": template.cpu, "memory": template.memory}, limits=limits
    )


def literal(value: str) -> str:
    """The value as Kubernetes must read it: `$(NAME)` would stand for another variable."""
    return value.replace("$", "$$")


def is_secret(settings: Settings, field: str) -> bool:
    """Whether the setting may hold a password: it is never shown, or its address carries one."""
    value = str(getattr(settings, field))
    return not Settings.model_fields[field].repr or masked(value) != value


def _environment(call: PodCall, template: PodTemplate, settings: Settings) -> list[Any]:
    """The settings of this process, in which the pod runs its step itself."""
    from kubernetes.client import models as k8s

    variables = {
        f"{PREFIX}ENV": settings.environment,
        f"{PREFIX}TARGET": "process",
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        # All that a library writes beside its results; the image is read-only.
        "HOME": SCRATCH,
        "MPLCONFIGDIR": f"{SCRATCH}/matplotlib",
        # Where object storage is asked; the key is in the Secret, or is the service account's.
        **{name: os.environ[name] for name in (*ENDPOINTS, *REGIONS) if os.environ.get(name)},
        **template.variables,
    }
    if is_secret(settings, "mlflow_tracking_uri"):
        del variables["MLFLOW_TRACKING_URI"]
    secrets = []
    for field in Settings.model_fields:
        if field in NOT_IN_PODS or getattr(settings, field) is None:
            continue
        if is_secret(settings, field):
            secrets.append(_from_secret(f"{PREFIX}{field.upper()}", call, template))
        else:
            variables[f"{PREFIX}{field.upper()}"] = str(getattr(settings, field))
    return [
        *(k8s.V1EnvVar(name, literal(value)) for name, value in sorted(variables.items())),
        *secrets,
    ]


def _from_secret(variable: str, call: PodCall, template: PodTemplate) -> Any:
    from kubernetes.client import models as k8s

    if template.secret is None:
        raise SettingsError(
            f"The pod of {call.step} needs {variable}, which may hold a password and therefore"
            " stands in no pod's specification. Write it into a Secret of the namespace"
            f" {template.namespace!r}, under the key {variable}, and name that Secret as `secret`"
            " in the file of pods."
        )
    selector = k8s.V1SecretKeySelector(name=template.secret, key=variable)
    return k8s.V1EnvVar(variable, value_from=k8s.V1EnvVarSource(secret_key_ref=selector))


def _env_from(template: PodTemplate) -> list[Any]:
    from kubernetes.client import models as k8s

    if template.secret is None:
        return []
    return [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=template.secret))]


def _toleration(item: Any) -> Any:
    from kubernetes.client import models as k8s

    return k8s.V1Toleration(**item.model_dump(exclude_none=True))


def _volumes(template: PodTemplate) -> list[Any]:
    from kubernetes.client import models as k8s

    scratch = k8s.V1EmptyDirVolumeSource(size_limit=template.scratch)
    volumes = [k8s.V1Volume(name="scratch", empty_dir=scratch)]
    for number, mount in enumerate(template.mounts):
        source: dict[str, Any] = {}
        if mount.claim:
            source["persistent_volume_claim"] = k8s.V1PersistentVolumeClaimVolumeSource(
                claim_name=mount.claim, read_only=mount.read_only or None
            )
        elif mount.secret:
            source["secret"] = k8s.V1SecretVolumeSource(
                secret_name=mount.secret, default_mode=0o440
            )
        else:
            source["config_map"] = k8s.V1ConfigMapVolumeSource(name=mount.config_map)
        volumes.append(k8s.V1Volume(name=f"mount-{number}", **source))
    return volumes


def _mounts(template: PodTemplate) -> list[Any]:
    from kubernetes.client import models as k8s

    return [
        k8s.V1VolumeMount(name="scratch", mount_path=SCRATCH),
        *(
            k8s.V1VolumeMount(
                name=f"mount-{number}",
                mount_path=mount.path,
                read_only=mount.claim is None or mount.read_only or None,
            )
            for number, mount in enumerate(template.mounts)
        ),
    ]
