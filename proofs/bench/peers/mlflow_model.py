"""The model for `mlflow models serve`, from code: rows of a frame to probabilities."""

from __future__ import annotations

from typing import Any

import mlflow
import numpy as np
import xgboost
from mlflow.pyfunc.model import PythonModel


class Served(PythonModel):  # type: ignore[misc]
    """A booster behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Open the booster."""
        self.booster = xgboost.Booster({"nthread": 1})
        self.booster.load_model(context.artifacts["booster"])
        self.booster.set_param({"nthread": 1})

    def predict(self, context: Any, model_input: Any, params: Any = None) -> list[float]:
        """The probabilities of a frame's rows."""
        del context, params
        scores: list[float] = self.booster.inplace_predict(
            model_input.to_numpy(dtype=np.float32)
        ).tolist()
        return scores


mlflow.models.set_model(Served())
