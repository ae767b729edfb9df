"""The connection to MLflow: one place for its address and for the defaults that Flightdeck switches
off.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from include.errors import SettingsError
from include.settings import PREFIX, Settings
from include.settings.environments import TRACKING_ACCOUNT
from include.tls import trusted

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # Its progress goes to the standard error stream, which a task's log shows as errors.
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
PROBE_SECONDS = 3.0
SERVED = "mlflow-artifacts:/"
SQLITE = "sqlite:///"


def connect(settings: Settings) -> MlflowClient:
    """A client of the environment's tracking server and registry; the fluent interface points there
    too.

    `mlflow_tracking_uri` is an http address in production and may be `sqlite:///<path>` in tests.
    """
    os.environ.update({**ENVIRONMENT, **sign_in(settings)})
    import mlflow

    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    mlflow.set_registry_uri(settings.mlflow_tracking_uri)
    return mlflow.MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)


def sign_in(settings: Settings) -> dict[str, str]:
    """The variables by which MLflow's client says who it is; none where it is not asked.

    Raises `SettingsError` where the password is nowhere.
    """
    served = settings.mlflow_tracking_uri.startswith(("http://", "https://"))
    if not served or settings.mlflow_access == "open":
        return {}
    password = settings.account_passwords.get(TRACKING_ACCOUNT)
    if password is None:
        raise SettingsError(
            f"{settings.airflow_accounts_path} holds no password of {TRACKING_ACCOUNT!r}, the"
            f" account that signs in to MLflow at {settings.mlflow_tracking_uri}. Name the file"
            f" that does with {PREFIX}AIRFLOW_ACCOUNTS_FILE, or set {PREFIX}MLFLOW_ACCESS=open for"
            " an MLflow that asks nobody."
        )
    return {"MLFLOW_TRACKING_USERNAME": TRACKING_ACCOUNT, "MLFLOW_TRACKING_PASSWORD": password}


def unreachable(settings: Settings) -> str | None:
    """Why a tracking server does not answer; `None` where it does, or where MLflow is a file.

    MLflow's own client would try for minutes.
    """
    import httpx

    address = settings.mlflow_tracking_uri
    if not address.startswith(("http://", "https://")):
        return None
    try:
        httpx.get(
            f"{address.rstrip('/')}/health", timeout=PROBE_SECONDS, verify=trusted()
        ).raise_for_status()
    except httpx.HTTPError as error:
        return f"MLflow does not answer on {address} ({error})."
    return None


def readable_artifact(uri: str, tracking_uri: str) -> str:
    """The address under which an artefact of that store can be read.

    `mlflow-artifacts:/...` is served by the tracking server; beside its SQLite file the same files
    lie in `artifacts/`.
    """
    if not (uri.startswith(SERVED) and tracking_uri.startswith(SQLITE)):
        return uri
    folder = Path(unquote(tracking_uri.removeprefix(SQLITE))).parent / "artifacts"
    return (folder / uri.removeprefix(SERVED).lstrip("/")).as_uri()


def artifact_location(settings: Settings) -> str | None:
    """Where a new experiment keeps its artefacts: the server decides, unless there is no server."""
    if settings.mlflow_tracking_uri.startswith(("http://", "https://")):
        return None
    return (settings.home / "mlflow" / "artifacts").as_uri()
