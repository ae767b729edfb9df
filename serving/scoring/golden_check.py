"""A model that serves is checked on its own golden rows."""

from __future__ import annotations

import sqlite3

from include.errors import FeatureStoreError
from include.features.online.store import OnlineFeatures
from include.model.package import golden_columns
from include.spec import UseCase
from serving.contract.answers import CheckAnswer
from serving.scoring.online_stores import features_unavailable
from serving.scoring.served_model import ServedModel


def check_served(use_case: UseCase, served: ServedModel, online: OnlineFeatures) -> bytes:
    """Score the golden rows of the model that serves, and look their keys up; runs in the
    batcher's thread.
    """
    model = served.model
    golden = model.golden["rows"]
    moments = golden_columns(model.transform, golden)[use_case.event_time]
    try:
        online.lookup(
            [{key: row.get(key) for key in use_case.serving.entity_keys} for row in golden], moments
        )
    except (FeatureStoreError, sqlite3.Error) as error:
        raise features_unavailable(str(error)) from error
    answer = CheckAnswer(
        use_case=use_case.name,
        version=served.version,
        digest=served.digest,
        rows=len(golden),
        largest_difference=model.check_golden(),
    )
    return answer.model_dump_json().encode()
