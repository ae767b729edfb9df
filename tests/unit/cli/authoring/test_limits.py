"""Gates that a trial training asks for, each with its figure."""

from __future__ import annotations

from cli.authoring.limits import gate_proposals
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.model.synthetic import under_limits


def test_gates_are_proposed_from_the_worse_end_of_the_trial_s_intervals():
    answer = {
        "metrics": {
            "test.auc": 0.713,
            "test.auc.low": 0.6948,
            "test.auc.high": 0.731,
            "test.brier": 0.16,
            "test.brier.low": 0.15,
            "test.brier.high": 0.1712,
            "test.ece": 0.02,
        },
        "rows": {"test": 4123},
        "findings": [
            {"rule": "auc", "metric": "auc", "subject": "test", "passed": False, "reason": "low"}
        ],
    }
    use_case = under_limits(USE_CASE, min_auc=0.9)
    proposals = {item.field: item for item in gate_proposals(use_case, answer)}
    auc = proposals["min_auc"]
    assert (auc.declared, auc.proposed, auc.breaks) == ("0.9", "0.69", 1)
    assert auc.figure == "auc 0.713 on 4,123 test rows, 95 % from 0.6948 to 0.731"
    assert (proposals["max_brier"].proposed, proposals["max_brier"].breaks) == ("0.18", 0)
    assert proposals["max_calibration_error"].proposed == "0.022"


def test_a_metric_that_the_trial_lacks_proposes_nothing():
    assert gate_proposals(USE_CASE, {"metrics": {}, "rows": {}, "findings": []}) == []
