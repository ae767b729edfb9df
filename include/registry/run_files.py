"""Reading back the files that a training run left in MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from include.registry.client import readable_artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient


def paths(
    client: MlflowClient, mlflow_run_id: str, *, without: str, folder: str | None = None
) -> Iterator[str]:
    """The files of a run by their paths, in order; nothing of its folder `without`."""
    for item in sorted(
        client.list_artifacts(mlflow_run_id, folder), key=lambda item: str(item.path)
    ):
        if not item.is_dir:
            yield str(item.path)
        elif item.path != without:
            yield from paths(client, mlflow_run_id, without=without, folder=str(item.path))


def read_text(client: MlflowClient, mlflow_run_id: str, file: str) -> str | None:
    """The file's text; `None` where the run has no such file."""
    content = read_bytes(client, mlflow_run_id, file)
    return None if content is None else content.decode("utf-8")


def read_bytes(client: MlflowClient, mlflow_run_id: str, file: str) -> bytes | None:
    """The file's content; `None` where the run has no such file."""
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
        return Path(path).read_bytes()


def read_json(client: MlflowClient, mlflow_run_id: str, file: str) -> Any:
    """The file's content; `None` where the run has no such file."""
    text = read_text(client, mlflow_run_id, file)
    return None if text is None else json.loads(text)
