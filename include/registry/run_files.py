"""Reading back the small JSON files that a training run left in MLflow."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from include.registry.client import readable_artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient


def read_text(client: MlflowClient, mlflow_run_id: str, file: str) -> str | None:
    """The file's text; `None` where the run has no such file."""
    import mlflow.artifacts
    from mlflow.exceptions import MlflowException

    uri = readable_artifact(
        f"{client.get_run(mlflow_run_id).info.artifact_uri.rstrip('/')}/{file}", client.tracking_uri
    )
    with TemporaryDirectory(prefix="flightdeck-run-") as folder:
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri
            )
        except (MlflowException, OSError):
            return None
        return Path(path).read_text(encoding="utf-8")


def read_json(client: MlflowClient, mlflow_run_id: str, file: str) -> Any:
    """The file's content; `None` where the run has no such file."""
    text = read_text(client, mlflow_run_id, file)
    return None if text is None else json.loads(text)
