"""The environments of Flightdeck, side by side: what holds in each where no variable says
otherwise.

A secret never stands here, and neither does an address: these are the deployment's, as variables or
files. What an environment does not start without stands in `required`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

EnvironmentName = Literal["dev", "test", "staging", "production"]
Target = Literal["process", "pods"]
Executor = Literal["local", "celery", "kubernetes"]
Approval = Literal["declared", "required"]
MlflowAccess = Literal["open", "accounts"]
Service = Literal["airflow", "mlflow", "serving", "evidently"]

RECORDS_ACCOUNT = "releases"
"""The account by which a release reads who approved it; every environment has it."""
TRACKING_ACCOUNT = "flightdeck"
"""The account by which steps and commands sign in to MLflow; it is added where one is needed."""
ROLES = ("viewer", "user", "op", "admin")
"""The roles of Airflow's simple auth manager, each with the rights of those before it."""
TRIAL_USERS = "admin:admin,engineer:op,reviewer:user"
EVERY_SERVICE = "airflow,mlflow,serving,evidently"
"""All services of a platform; Evidently's UI among them runs where it has a port."""
EXECUTORS: Mapping[Executor, str] = MappingProxyType(
    {
        "local": "plugins.executor.PreloadingExecutor",
        "celery": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
        "kubernetes": (
            "airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor"
        ),
    }
)

NO_SETTINGS = frozenset(
    {"purpose", "required", "refuses_defaults", "released_after", "refuses_open_mlflow"}
)
"""What an environment says beside the defaults of settings."""


class Environment(BaseModel):
    """One column of the table of environments."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    purpose: str = Field(description="Who works here.")
    services: str = Field(default=EVERY_SERVICE, description="What runs, as a list with commas.")
    target: Target = Field(default="process", description="Where steps run.")
    sample_share: float = Field(default=1.0, gt=0, le=1, description="Share of the source rows.")
    training_threads: int = Field(default=2, ge=1, description="Threads of one training.")
    grpc_port: int | None = Field(
        default=None, description="Port of gRPC; None for the one next to that of HTTP."
    )
    executor: Executor = Field(default="local", description="Who runs Airflow's tasks.")
    service_account: str | None = Field(
        default=None, description="The service account of pods in Kubernetes."
    )
    approval: Approval = Field(
        default="declared", description="Whether a release needs a person whatever its use case."
    )
    users: str = Field(
        default=TRIAL_USERS, description="Users of Airflow and MLflow, as `name:role,...`."
    )
    mlflow_access: MlflowAccess = Field(
        default="accounts", description="Whether MLflow asks who somebody is."
    )
    required: tuple[str, ...] = Field(
        default=(), description="Settings without which it does not start."
    )
    refuses_defaults: bool = Field(
        default=False,
        description="Whether pickles and a key that signs models made by itself are refused.",
    )
    refuses_open_mlflow: bool = Field(
        default=False, description="Whether an MLflow that asks nobody is refused."
    )
    released_after: EnvironmentName | None = Field(
        default=None,
        description="The environment that must have accepted a pipeline's bundle before; None where"
        " it is tried itself.",
    )

    def defaults(self) -> dict[str, Any]:
        """What holds of the settings where no variable says otherwise."""
        values = self.model_dump(exclude=set(NO_SETTINGS))
        return {name: value for name, value in values.items() if value is not None}


ENVIRONMENTS: Mapping[EnvironmentName, Environment] = MappingProxyType(
    {
        "dev": Environment(purpose="One person on one machine; the demo."),
        "test": Environment(
            purpose="Automated tests, each with a small world of its own.",
            services="airflow,mlflow,serving",
            training_threads=1,
            grpc_port=0,
            mlflow_access="open",
        ),
        "staging": Environment(
            purpose="The last look before production, on a fifth of its data.",
            sample_share=0.2,
            service_account="flightdeck-staging",
            refuses_open_mlflow=True,
        ),
        "production": Environment(
            purpose="What applications call.",
            # Evidently's UI knows no accounts; the same reports are in Airflow.
            services="airflow,mlflow,serving",
            service_account="flightdeck-production",
            approval="required",
            users="",
            required=("users", "api_keys_file", "api_key_file", "alarm_sinks"),
            refuses_defaults=True,
            refuses_open_mlflow=True,
            released_after="staging",
        ),
    }
)
