"""A service as one writes it by hand:

FastAPI, a pydantic model of the row, XGBoost. No look-up, log or metrics.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import xgboost
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, create_model

FOLDER = Path(os.environ["BENCH_MODEL"])
NAMES: list[str] = json.loads((FOLDER / "inputs.json").read_bytes())
BOOSTER = xgboost.Booster({"nthread": 1})
BOOSTER.load_model(FOLDER / "model.ubj")
BOOSTER.set_param({"nthread": 1})

Row = create_model(
    "Row", __config__=ConfigDict(extra="forbid"), **dict.fromkeys(NAMES, (float | None, ...))
)  # type: ignore[call-overload]


class Rows(BaseModel):
    """The request."""

    rows: list[Row]


class Answer(BaseModel):
    """The answer."""

    probabilities: list[float]


application = FastAPI()


@application.post("/predict")
async def predict(asked: Rows) -> Answer:
    """The probabilities of the rows."""
    matrix = np.array(
        [[getattr(row, name) for name in NAMES] for row in asked.rows], dtype=np.float32
    )
    return Answer(probabilities=BOOSTER.inplace_predict(matrix).tolist())
