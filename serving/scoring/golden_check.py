"""A model is checked on its own golden rows, asked as callers ask: through the request's schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from include.errors import FeatureStoreError, ServingError
from include.features.online.store import OnlineFeatures
from include.features.row_transform import RowTransform
from include.model.package import ScoringModel
from include.spec import ColumnType
from serving.contract.answers import CheckAnswer
from serving.contract.errors import InvalidError
from serving.contract.schema import FEATURES, RequestSchema
from serving.scoring.online_stores import features_unavailable
from serving.scoring.served_model import ServedModel

STAND_INS: dict[ColumnType, Any] = {
    "string": "AA",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "timestamp": "2013-04-01T12:00:00Z",
}
"""What is sent for a column that the package holds no value of: it decides no score."""


def golden_requests(schema: RequestSchema, model: ScoringModel) -> list[dict[str, Any]]:
    """Return the model's golden rows as a caller would send them, with their features, checked by
    the schema.

    Raises `ServingError` naming the field that the endpoint would refuse of what the model was
    trained with.
    """
    sent = model.golden.get("requests") or [{} for _ in model.golden["rows"]]
    rows = [
        _document(schema, {**row, **request})
        for row, request in zip(model.golden["rows"], sent, strict=True)
    ]
    most = schema.use_case.serving.max_rows
    checked: list[dict[str, Any]] = []
    try:
        for start in range(0, len(rows), most):
            checked += schema.validate({"rows": rows[start : start + most]})
    except InvalidError as error:
        raise ServingError(
            "The endpoint would refuse a row that the model was trained with: golden row"
            f" {len(checked)} and following: {error.message} (valid: {error.valid}). The request"
            f" model of {schema.use_case.name} and the package do not fit each other: train again."
        ) from error
    return checked


def asked_difference(model: ScoringModel, requests: list[dict[str, Any]]) -> float:
    """Return the largest difference of the scores of checked rows to those that were recorded."""
    sources = [{**row[FEATURES], **row} for row in requests]
    scores = model.score_matrix(RowTransform(model.transform).matrix(sources))
    return float(np.abs(scores - np.asarray(model.golden["scores"], dtype=np.float64)).max())


def check_served(schema: RequestSchema, served: ServedModel, online: OnlineFeatures) -> bytes:
    """Score the golden rows of the model that serves, asked by their features, and look their keys
    up; runs in the batcher's thread.
    """
    use_case, model = schema.use_case, served.model
    requests = golden_requests(schema, model)
    try:
        online.lookup_rows(requests, [row[use_case.event_time] for row in requests])
    except (FeatureStoreError, sqlite3.Error) as error:
        raise features_unavailable(str(error)) from error
    answer = CheckAnswer(
        use_case=use_case.name,
        version=served.version,
        digest=served.digest,
        rows=len(requests),
        largest_difference=max(model.check_golden(), asked_difference(model, requests)),
    )
    return answer.model_dump_json().encode()


def _document(schema: RequestSchema, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a request: whatever the package holds of it, and a stand-in for the rest."""
    sent = {
        name: row[name] if name in row else STAND_INS[kind]
        for name, kind in schema.types.items()
        if name != schema.use_case.id_column or name in row
    }
    return {**sent, FEATURES: {name: row[name] for name in schema.features}}
