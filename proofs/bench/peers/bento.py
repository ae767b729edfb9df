"""A plain BentoML service: an async endpoint with a pydantic model of the row, XGBoost.

No look-up or log.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import bentoml
import numpy as np
import xgboost
from pydantic import BaseModel, ConfigDict, create_model

FOLDER = Path(os.environ["BENCH_MODEL"])
NAMES: list[str] = json.loads((FOLDER / "inputs.json").read_bytes())
Row: type[BaseModel] = create_model(
    "Row", __config__=ConfigDict(extra="forbid"), **dict.fromkeys(NAMES, (float | None, ...))
)  # type: ignore[call-overload]


@bentoml.service(name="plain", workers=1)
class Plain:
    """The service."""

    def __init__(self) -> None:
        self.booster = xgboost.Booster({"nthread": 1})
        self.booster.load_model(FOLDER / "model.ubj")
        self.booster.set_param({"nthread": 1})

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, rows: list[Row]) -> list[float]:
        """The probabilities of the rows."""
        matrix = np.array(
            [[getattr(row, name) for name in NAMES] for row in rows], dtype=np.float32
        )
        scores: list[float] = self.booster.inplace_predict(matrix).tolist()
        return scores
