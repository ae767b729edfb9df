"""The model package as a logged model of an MLflow run: signature, input example, requirements, no
pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from include.features.transform import FeatureTransform
from include.model.package import TIME_KINDS, source_columns

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

MODEL_NAME = "model"
PACKAGE_ARTIFACT = "package"
SCRIPT = Path(__file__).with_name("pyfunc_model.py")
LIBRARIES = ("mlflow", "numpy", "pandas", "polars", "pydantic", "scikit-learn", "skops", "xgboost")


def log_package(
    client: MlflowClient,
    *,
    experiment_id: str,
    mlflow_run_id: str,
    package: Path,
    digest: str,
    transform: FeatureTransform,
    example: pl.DataFrame,
    classes: Sequence[str] = (),
) -> str:
    """Log the package folder as the run's model and return the logged model's id.

    A model with this digest that the run already holds is returned as it is, so a retry logs
    nothing twice. `example` holds the source columns of a few rows; `classes` are those of a
    multiclass problem.
    """
    import mlflow.pyfunc
    from mlflow.models import Model

    logged = find_logged_model(client, experiment_id, mlflow_run_id, digest)
    if logged is not None:
        return logged
    model = client.create_logged_model(
        experiment_id, name=MODEL_NAME, source_run_id=mlflow_run_id, tags={"digest": digest}
    )
    Model.log(
        None,
        mlflow.pyfunc,
        name=MODEL_NAME,
        run_id=mlflow_run_id,
        model_id=model.model_id,
        python_model=str(SCRIPT),
        artifacts={PACKAGE_ARTIFACT: str(package)},
        signature=signature(transform, classes),
        input_example=example_frame(transform, example),
        pip_requirements=[f"{name}=={library_version(name)}" for name in LIBRARIES],
        metadata={"digest": digest},
    )
    return str(model.model_id)


def find_logged_model(
    client: MlflowClient, experiment_id: str, mlflow_run_id: str, digest: str
) -> str | None:
    """The id of the run's completely logged model with this digest, if there is one."""
    candidates = client.search_logged_models(
        [experiment_id],
        filter_string=f"source_run_id = '{mlflow_run_id}' AND tags.digest = '{digest}'",
    )
    ready = sorted(str(model.model_id) for model in candidates if str(model.status) == "READY")
    return ready[0] if ready else None


def signature(transform: FeatureTransform, classes: Sequence[str] = ()) -> Any:
    """MLflow's signature of the source columns: strings, doubles (both may be missing) and UTC
    timestamps without a zone.

    The output is one double, or one a class.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    kinds = _kinds(transform)
    inputs = [
        ColSpec(kinds[name], name, required=kinds[name] == "datetime")
        for name in source_columns(transform)
    ]
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([ColSpec("double", name) for name in classes] or [ColSpec("double")]),
    )


def example_frame(transform: FeatureTransform, frame: pl.DataFrame) -> pd.DataFrame:
    """The source columns as the pandas frame that fits `signature`."""
    kinds = _kinds(transform)
    casts = {"string": pl.String, "double": pl.Float64}
    columns = [
        pl.col(name).dt.replace_time_zone(None)
        if kinds[name] == "datetime"
        else pl.col(name).cast(casts[kinds[name]])
        for name in source_columns(transform)
    ]
    return frame.select(columns).to_pandas()


def _kinds(transform: FeatureTransform) -> dict[str, str]:
    kinds = {transform.event_time: "datetime"}
    for item in transform.inputs:
        name = transform.column(item)
        kinds[name] = (
            "datetime"
            if item.kind in TIME_KINDS
            else "string"
            if item.kind == "category"
            else "double"
        )
    return kinds
