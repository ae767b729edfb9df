"""The model for MLServer, as a runtime of its own: a matrix of the Open Inference Protocol to
probabilities. Runs in MLServer's venv.
"""

from __future__ import annotations

import numpy as np
import xgboost
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Served(MLModel):
    """A booster behind MLServer's interface."""

    async def load(self) -> bool:
        """Open the booster."""
        self.booster = xgboost.Booster({"nthread": 1})
        self.booster.load_model(self.settings.parameters.uri)
        self.booster.set_param({"nthread": 1})
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The probabilities of a matrix."""
        matrix = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        scores = self.booster.inplace_predict(matrix)
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("probabilities", scores)]
        )
