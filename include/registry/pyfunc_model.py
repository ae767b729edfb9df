"""The model as MLflow loads it: "models from code", so no pickle is written or read.

MLflow runs this file when it logs and when it loads a model. It needs Flightdeck's `include` on the
import path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import mlflow.models
import mlflow.pyfunc
import pandas as pd
import polars as pl

from include.model.package import ScoringModel, load_model


class PackagedModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # MLflow's base class is untyped here
    """Scores a data frame of source columns with the model package; answers probabilities (or
    values), not class labels.
    """

    _model: ScoringModel

    def load_context(self, context: Any) -> None:
        """Verify and parse the package among the model's artefacts."""
        self._model = load_model(Path(context.artifacts["package"]))

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> list[float] | pd.DataFrame:  # MLflow's signature
        """Scores in the rows' order, of several classes one column a class.

        Timestamps without a time zone are UTC, as MLflow's schema hands them over.
        """
        frame = pl.from_pandas(model_input)
        naive = [
            name
            for name, dtype in frame.schema.items()
            if isinstance(dtype, pl.Datetime) and dtype.time_zone is None
        ]
        aware = frame.with_columns(pl.col(name).dt.replace_time_zone("UTC") for name in naive)
        scores = self._model.score_frame(aware)
        if scores.ndim > 1:
            return pd.DataFrame(scores, columns=list(self._model.metadata.classes))
        return [float(score) for score in scores]


mlflow.models.set_model(PackagedModel())
