"""Explanations: additive, in the answer when asked for, in the log when asked for or sampled;
refusals by the specification's policy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import xgboost

from include.features.retrieval import point_in_time
from include.inference_log.writer import is_sampled
from include.model.package import load_model
from include.release.model_store import set_desired
from proofs.harness.endpoint import Endpoint
from proofs.harness.logged import logged_rows
from proofs.harness.world import World
from serving.contract.answers import ErrorAnswer, ExplainAnswer

pytestmark = pytest.mark.slow
URL = "/v1/models/flight_delays"
SHARE = 0.5


@pytest.fixture(scope="module")
def strict_endpoint(world: World) -> Iterator[Endpoint]:
    """An endpoint whose use case refuses unknown and stale rows, and logs the reasons of half of
    its answers.
    """
    overlay = world.settings.home / "strict.json"
    changes = {"explain_share": SHARE, "unknown_entities": "refuse", "stale_features": "refuse"}
    overlay.write_text(json.dumps({"flight_delays": {"serving": changes}}))
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    with Endpoint(world.settings, changes={"FLIGHTDECK_SPEC_OVERLAY": str(overlay)}) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def logged_attributions(world: World) -> dict[str, dict[str, float] | None]:
    rows = logged_rows(world.settings).select("prediction_id", "attributions").rows()
    return {identifier: text and json.loads(text) for identifier, text in rows}


def test_contributions_add_up_to_the_raw_score_and_are_xgboosts_own(
    endpoint: Endpoint, world: World
) -> None:
    answer = ExplainAnswer.model_validate(
        endpoint.client.post(f"{URL}/explain", json={"rows": world.rows[:20]}).json()
    )
    model = load_model(world.packages[1])
    matrix = model.transform.apply_frame(
        point_in_time(world.use_case, world.entities[:20], world.settings)
    )
    data = xgboost.DMatrix(
        matrix,
        feature_names=model.transform.feature_names,
        feature_types=model.transform.feature_types,
        enable_categorical=True,
    )
    expected = model.booster.predict(data, pred_contribs=True)
    margins = model.booster.predict(data, output_margin=True)
    for row, prediction in enumerate(answer.predictions):
        reasons = prediction.explanation
        assert list(reasons.contributions) == model.transform.feature_names
        assert np.allclose(
            [*reasons.contributions.values(), reasons.base_value], expected[row], atol=1e-6
        )
        assert reasons.raw_score == pytest.approx(
            reasons.base_value + sum(reasons.contributions.values())
        )
        assert reasons.raw_score == pytest.approx(margins[row], abs=1e-5)
        assert prediction.probability == pytest.approx(
            1 / (1 + np.exp(-reasons.raw_score)), abs=1e-6
        )
    assert np.abs(expected[:, :-1]).max() > 0.01


def test_reasons_are_logged_with_the_prediction_when_asked_for_and_only_then(
    endpoint: Endpoint, world: World
) -> None:
    explained = endpoint.client.post(f"{URL}/explain", json={"rows": world.rows[:2]}).json()[
        "predictions"
    ]
    plain = endpoint.predict(world.rows[:2]).json()["predictions"]
    assert all("explanation" not in prediction for prediction in plain)
    logged = logged_attributions(world)
    for prediction in explained:
        reasons = prediction["explanation"]
        assert logged[prediction["prediction_id"]] == {
            "base_value": reasons["base_value"],
            **reasons["contributions"],
        }
    assert [logged[prediction["prediction_id"]] for prediction in plain] == [None, None]


def test_a_sample_by_prediction_id_is_explained_in_the_log(
    strict_endpoint: Endpoint, world: World
) -> None:
    known = [row for row in world.rows[:60] if not _flags(strict_endpoint, row)]
    answer = strict_endpoint.predict(known).json()
    logged = logged_attributions(world)
    chosen = [
        is_sampled(prediction["prediction_id"], SHARE) for prediction in answer["predictions"]
    ]
    assert {True, False} == set(chosen)
    assert [
        logged[prediction["prediction_id"]] is not None for prediction in answer["predictions"]
    ] == chosen


def test_rows_that_the_policy_refuses_are_named_and_others_are_answered(
    strict_endpoint: Endpoint, world: World
) -> None:
    good = next(row for row in world.rows if not _flags(strict_endpoint, row))
    unknown = strict_endpoint.predict([good, {**good, "tailnum": "N0NE"}])
    error = ErrorAnswer.model_validate(unknown.json()).error
    assert (unknown.status_code, error.code, error.field) == (422, "unknown_entity", "rows[1]")
    assert "plane" in error.message
    late = {
        **good,
        "asked_at": "2013-06-01T00:00:00Z",
        "scheduled_departure": "2013-06-01T03:00:00Z",
    }
    stale = strict_endpoint.predict([late]).json()["error"]
    assert (stale["code"], stale["field"]) == ("stale_features", "rows[0]")
    assert strict_endpoint.predict([good]).status_code == 200


def _flags(endpoint: Endpoint, row: dict[str, object]) -> bool:
    return endpoint.predict([row]).status_code != 200
