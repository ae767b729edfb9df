"""`FLIGHTDECK_PODS_FILE`: the pods in which steps run where the environment's target is `pods`.

A TOML file (docs/pods.md): what holds for every step at its top, then what differs for a step, for
a use case, and for a step of a use case. Of two that say the same, the later in this list wins.

    image = "registry.example.com/flightdeck/step@sha256:..."
    namespace = "flightdeck"

    [steps."training:train_model"]
    memory = "16Gi"

    [use_cases.flight_delays.steps."training:train_model"]
    gpu = 1
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.errors import SettingsError

if TYPE_CHECKING:
    from include.settings import Settings

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|[KMGTPE]i?)?$")]
"""An amount as Kubernetes writes it: 500m, 2, 16Gi."""
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY(?!S?_FILE)")
DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
STEPS, USE_CASES = "steps", "use_cases"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Toleration(_Part):
    """A taint of nodes that the pod may run on all the same."""

    key: str = Field(description="The taint's key.")
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="`Equal` compares `value` too."
    )
    value: str | None = Field(default=None, description="The taint's value, for `Equal`.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The taint's effect. Any by default."
    )


class Mount(_Part):
    """What a pod sees at a path: a claim, a Secret or a ConfigMap of its namespace."""

    path: str = Field(pattern=r"^/[^:]*$", description="Absolute path in the container.")
    claim: DnsName | None = Field(default=None, description="A PersistentVolumeClaim's name.")
    secret: DnsName | None = Field(default=None, description="A Secret's name; read-only.")
    config_map: DnsName | None = Field(default=None, description="A ConfigMap's name; read-only.")
    read_only: bool = Field(default=False, description="Whether a claim may not be written to.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = [name for name in ("claim", "secret", "config_map") if getattr(self, name)]
        if len(sources) != 1:
            raise ValueError(
                f"the mount at {self.path} names {sources or 'no source'}; it is exactly one of"
                " claim, secret and config_map"
            )
        return self


class PodTemplate(_Part):
    """The pod of a step."""

    target: Literal["pods", "process"] = Field(
        default="pods", description="`process` runs this step in Airflow's worker all the same."
    )
    image: str = Field(
        min_length=1,
        pattern=r"^\S+$",
        description="The image, with its digest in production: Flightdeck and its lock, its"
        " working directory the project's root.",
    )
    namespace: DnsName = Field(description="The namespace in which pods are started.")
    service_account: DnsName | None = Field(
        default=None,
        description="The pods' service account; its token is not mounted. By default that of the"
        " environment.",
    )
    connection: str = Field(
        default="kubernetes_default",
        description="Airflow's connection to the cluster. By default the one that the worker runs"
        " in.",
    )
    cpu: Quantity = Field(default="500m", description="Processors requested; more may be used.")
    cpu_limit: Quantity | None = Field(
        default=None, description="Processors at most. No limit by default."
    )
    memory: Quantity = Field(
        default="2Gi",
        description="Memory requested, and at most: a step that takes more is killed.",
    )
    scratch: Quantity = Field(
        default="2Gi", description="Most that /tmp holds; everything else is read-only."
    )
    gpu: int = Field(default=0, ge=0, le=16, description="GPUs. None by default.")
    gpu_resource: str = Field(
        default="nvidia.com/gpu", description="What the cluster calls a GPU among its resources."
    )
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Labels of the nodes that the pod may run on."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(), description="Taints of nodes that do not keep the pod away."
    )
    priority_class: DnsName | None = Field(default=None, description="The pods' priority class.")
    retries: int | None = Field(
        default=None, ge=0, le=20, description="Retries of the task. Those of its DAG by default."
    )
    start_seconds: int = Field(
        default=600,
        ge=10,
        le=86_400,
        description="Longest wait for a node, and then for the image, until the try has failed.",
    )
    user: int = Field(
        default=10001, ge=1, description="User and group id of the container, never root."
    )
    python: str = Field(default="python", description="The image's Python.")
    pull_policy: Literal["IfNotPresent", "Always", "Never"] = Field(
        default="IfNotPresent", description="When the node fetches the image."
    )
    pull_secrets: tuple[DnsName, ...] = Field(
        default=(), description="Secrets with which the node may fetch the image."
    )
    sidecar_image: str | None = Field(
        default=None,
        description="The image of the container that hands the result over; it needs `sh`. The"
        " step's own by default.",
    )
    secret: DnsName | None = Field(
        default=None,
        description="The Secret whose keys become environment variables: what holds a password"
        " among the settings, and the credentials of stores.",
    )
    variables: dict[Variable, str] = Field(
        default_factory=dict, description="More environment variables, none of them secret."
    )
    mounts: tuple[Mount, ...] = Field(default=(), description="What the pod sees at which path.")

    @model_validator(mode="after")
    def _nothing_secret_in_the_open(self) -> Self:
        for name in self.variables:
            if SECRET_NAME.search(name.upper()):
                raise ValueError(
                    f"variables.{name} looks like a secret, and whoever may read pods would read"
                    f" it; write it into a Secret of the namespace and name that as `secret`"
                )
            if name.startswith("FLIGHTDECK_"):
                raise ValueError(
                    f"variables.{name} is a setting, and a pod gets the settings of the process"
                    " that starts it; set it there"
                )
        return self

    def writable(self, path: str) -> bool:
        """Whether what is written at the path outlives the pod: it lies in a claim."""
        return any(
            mount.claim is not None
            and not mount.read_only
            and PurePosixPath(path).is_relative_to(mount.path)
            for mount in self.mounts
        )


class Pods(_Part):
    """The whole file: what holds for every step, and what differs for some."""

    base: dict[str, Any]
    steps: dict[str, dict[str, Any]]
    use_cases: dict[str, dict[str, Any]]

    def template(self, use_case: str, step: str) -> PodTemplate:
        """The pod of a use case's step, `step` as `training:train_model`."""
        changes = self.use_cases.get(use_case, {})
        values = {
            **self.base,
            **self.steps.get(step, {}),
            **{name: value for name, value in changes.items() if name != STEPS},
            **changes.get(STEPS, {}).get(step, {}),
        }
        return PodTemplate.model_validate(values)

    def templates(self) -> Iterator[tuple[str, PodTemplate]]:
        """Every pod that the file can make, with its place there."""
        yield "the top", PodTemplate.model_validate(self.base)
        for step in self.steps:
            yield f"steps.{step!r}", self.template("", step)
        for use_case, changes in self.use_cases.items():
            yield f"{USE_CASES}.{use_case}", self.template(use_case, "")
            for step in changes.get(STEPS, {}):
                yield f"{USE_CASES}.{use_case}.{STEPS}.{step!r}", self.template(use_case, step)

    def names(self) -> tuple[set[str], set[str]]:
        """The use cases, and the steps, for which something differs."""
        steps = {step for changes in self.use_cases.values() for step in changes.get(STEPS, {})}
        return set(self.use_cases), {*self.steps, *steps}

    def require_known(self, use_cases: Iterable[str], steps: Iterable[str]) -> None:
        """Raise `SettingsError` for a use case or a step that is not there."""
        for kind, names, valid in zip(
            ("use case", "step"), self.names(), (set(use_cases), set(steps)), strict=True
        ):
            for name in sorted(names - valid):
                raise SettingsError(
                    f"FLIGHTDECK_PODS_FILE names the {kind} {name!r}, which is not there"
                    f"{hint(name, valid)}"
                )


def read_pods(path: Path) -> Pods:
    """The pods of a file. Raises `SettingsError` naming the place, and what is valid."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"FLIGHTDECK_PODS_FILE is {path}, which cannot be read: {error}."
        ) from (error)
    steps = _table(path, content.pop(STEPS, {}), STEPS)
    use_cases = _table(path, content.pop(USE_CASES, {}), USE_CASES)
    pods = Pods(base=content, steps=steps, use_cases=use_cases)
    _validate(path, "the top", content)
    for step, values in steps.items():
        _validate(path, f"steps.{step!r}", {**content, **values})
    for name, changes in use_cases.items():
        for step, values in _table(
            path, changes.get(STEPS, {}), f"{USE_CASES}.{name}.{STEPS}"
        ).items():
            _validate(path, f"{USE_CASES}.{name}.{STEPS}.{step!r}", {**content, **values})
        general = {key: value for key, value in changes.items() if key != STEPS}
        _validate(path, f"{USE_CASES}.{name}", {**content, **general})
    return pods


def pods_of(settings: Settings) -> Pods | None:
    """The pods of this process's environment; None where steps run in the worker.

    Raises `SettingsError` for a file that is wrong, or in which what steps write is lost.
    """
    if settings.target != "pods" or settings.pods_file is None:
        return None
    pods = read_pods(settings.pods_file)
    for place, template in pods.templates():
        _require_lasting(settings, place, template)
        if settings.environment == "production" and not DIGEST.search(template.image):
            raise SettingsError(
                f"{settings.pods_file}: {place}, image is {template.image!r}; production runs"
                " images by their digest alone: <repository>@sha256:<64 hexadecimal digits>."
            )
    return pods


def _require_lasting(settings: Settings, place: str, template: PodTemplate) -> None:
    folders = {"FLIGHTDECK_HOME": str(settings.home)}
    if "://" not in settings.tables_uri:
        folders["FLIGHTDECK_TABLES_URI"] = settings.tables_uri
    for variable, folder in folders.items():
        if template.target == "pods" and not template.writable(folder):
            raise SettingsError(
                f"{settings.pods_file}: {place}, mounts hold no claim in which {variable}"
                f" ({folder}) lies, so that what a step writes there would end with its pod. Mount"
                " a PersistentVolumeClaim that pods of several nodes may write to (ReadWriteMany):"
                f' mounts = [{{ path = "{folder}", claim = "flightdeck-home" }}].'
            )


def hint(name: str, valid: Iterable[str]) -> str:
    """The nearest valid name, and all of them."""
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1)
    return (
        f"; did you mean {near[0]!r}? Valid: {', '.join(names)}."
        if near
        else (f"; valid: {', '.join(names)}.")
    )


def _table(path: Path, value: Any, place: str) -> dict[str, dict[str, Any]]:
    if isinstance(value, dict) and all(isinstance(part, dict) for part in value.values()):
        return value
    raise SettingsError(
        f'{path}: {place} is a table of tables, for example [steps."training:train_model"].'
    )


def _validate(path: Path, place: str, values: Mapping[str, Any]) -> None:
    for name in values:
        if name not in PodTemplate.model_fields:
            raise SettingsError(
                f"{path}: {place} has {name!r}, which is no field of a pod"
                f"{hint(name, PodTemplate.model_fields)}"
            )
    try:
        PodTemplate.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: {place}{f', {field}' if field else ''}: {first['msg']}."
        ) from error
