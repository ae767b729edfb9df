"""What the endpoint answers and logs for a model of each problem and estimator: the package's own
scores, in the problem's form.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from include.model.package import golden_columns
from serving.contract.answers import PredictAnswer
from serving.scoring.scorer import Moment, Scorer
from tests.unit.problems.problem_cases import CLASSES, rows, trained, use_case

pytestmark = [pytest.mark.slow]

IDENTIFIER = "0" * 32
KINDS = {"binary": "Prediction", "regression": "ValuePrediction", "multiclass": "ClassPrediction"}


@pytest.mark.parametrize("sklearn", [False, True], ids=["xgboost", "sklearn"])
@pytest.mark.parametrize("problem", ["binary", "regression", "multiclass"])
def test_the_answer_holds_the_packages_scores_in_the_problems_form(problem, sklearn, tmp_path):
    case = use_case(problem, sklearn=sklearn)
    model = trained(case, tmp_path, rows(1500)).model
    scorer = Scorer(case, model)
    scorer.warm_up(2)
    columns = golden_columns(model.transform, model.golden["rows"])
    sources = [
        {name: values[place] for name, values in columns.items()} | {"parcel_id": None}
        for place in range(20)
    ]
    _, scores = scorer.score(sources)
    np.testing.assert_allclose(scores, np.asarray(model.golden["scores"]), rtol=1e-5, atol=1e-6)
    answer = scorer.answered(IDENTIFIER, scores[0], [], None)
    checked = PredictAnswer.model_validate(
        {"use_case": case.name, "model_version": 1, "predictions": [answer]}
    ).predictions[0]
    assert type(checked).__name__ == KINDS[problem]
    logged = scorer.logged(IDENTIFIER, sources[0], {}, scores[0], [], 0.0, Moment(1, 0.0, 0), None)
    assert isinstance(sources[0]["asked_at"], datetime)
    if problem == "multiclass":
        assert answer["class"] == CLASSES[int(np.argmax(scores[0]))]
        assert logged.score == answer["probabilities"][answer["class"]] == max(scores[0])
        assert logged.predicted_class == answer["class"]
    else:
        assert (
            logged.score
            == answer["value" if problem == "regression" else "probability"]
            == scores[0]
        )
    assert logged.decision is (problem == "binary" and scores[0] >= 0.5)
