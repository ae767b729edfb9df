"""Gates that a trial training asks for, each with its figure, and proposals as lines for the
specification.
"""

from __future__ import annotations

from collections.abc import Sequence

from cli.authoring.limits import gate_proposals, print_pasted
from cli.authoring.paste import pasted
from include.quality.history import Proposal
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.model.synthetic import under_limits
from tests.unit.problems.problem_cases import use_case


def proposal(where: str, field: str, limit: str, figure: str = "2, most of 3") -> Proposal:
    return Proposal(where, field, "1", limit, figure, 1)


def lines_of(*proposals: Proposal) -> Sequence[str]:
    return list(pasted(USE_CASE, proposals))


def test_lines_to_paste_stand_below_their_figure_and_name_their_place():
    assert lines_of(
        proposal("problem", "min_auc", "0.69"),
        proposal("monitoring", "drift_effect", "0.3"),
        proposal("raw/flights", "minimum_rows", "50"),
    ) == [
        "# problem=Binary(...)",
        "# 2, most of 3.",
        "min_auc=0.69,",
        "# monitoring=Monitoring(...)",
        "# 2, most of 3.",
        "drift_effect=0.3,",
        '# Table(name="raw/flights", ...)',
        "# 2, most of 3.",
        "minimum_rows=50,",
    ]


def test_a_limit_for_all_columns_is_the_largest_that_one_asks_for():
    assert lines_of(
        proposal("data_checks (raw/flights.distance)", "max_null_change", "0.4", "first"),
        proposal("data_checks (raw/weather.humidity)", "max_null_change", "0.6", "second"),
        proposal("data_checks (raw/weather.pressure)", "max_null_change", "0.5", "third"),
    ) == ["# data_checks=DataChecks(...)", "# second.", "max_null_change=0.6,"]


def test_what_no_limit_lets_pass_is_no_line_of_python():
    *_, last = lines_of(proposal("raw/weather.humidity", "max_shift", "inf"))
    assert last == "# No max_shift lets it pass; was 1."


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
    assert "max_simple_model_deficit" not in proposals


TRIAL = {
    "metrics": {
        "test.auc": 0.7831,
        "test.auc.low": 0.7192,
        "test.auc.high": 0.8313,
        "test.brier": 0.1611,
        "test.brier.low": 0.141,
        "test.brier.high": 0.182,
        "test.ece": 0.0436,
        "test.ece.low": 0.04,
        "test.ece.high": 0.094,
        "test.baseline.simple.deficit": 0.0215,
        "test.baseline.simple.deficit.low": 0.002,
        "test.baseline.simple.deficit.high": 0.04,
    },
    "rows": {"test": 275},
    "findings": [
        {
            "rule": "baselines",
            "metric": "deficit_to_simple",
            "subject": "test",
            "passed": False,
            "reason": "worse",
        }
    ],
}


def test_limits_that_were_adopted_are_proposed_no_more_and_let_a_like_model_pass():
    use_case = under_limits(
        USE_CASE,
        min_auc=0.55,
        max_brier=0.23,
        max_calibration_error=0.05,
        max_simple_model_deficit=0.0,
    )
    first = {item.field: item for item in gate_proposals(use_case, TRIAL)}
    assert {field: item.proposed for field, item in first.items()} == {
        "min_auc": "0.71",
        "max_brier": "0.19",
        "max_calibration_error": "0.094",
        "max_simple_model_deficit": "0.022",
    }
    assert [item.field for item in first.values() if item.breaks] == ["max_simple_model_deficit"]
    adopted = under_limits(
        use_case, **{field: float(item.proposed) for field, item in first.items()}
    )
    # Another training on the same data, a little better: noise of so few rows.
    again = {
        **TRIAL,
        "findings": [],
        "metrics": {
            **TRIAL["metrics"],
            "test.auc": 0.8032,
            "test.auc.low": 0.7495,
            "test.auc.high": 0.8472,
            "test.brier": 0.1549,
            "test.brier.low": 0.1323,
            "test.brier.high": 0.1788,
            "test.ece": 0.0556,
            "test.ece.high": 0.101,
        },
    }
    second = {item.field: item for item in gate_proposals(adopted, again)}
    assert adopted.problem.thresholds["max_calibration_error"] > 0.0556
    assert all(item.holds for item in second.values())


def test_only_what_does_not_hold_is_to_be_pasted(capsys):
    holds = Proposal("problem", "min_auc", "0.7", "0.7", "auc 0.8", 0)
    print_pasted(USE_CASE, [holds])
    assert capsys.readouterr().out == ""
    print_pasted(USE_CASE, [holds, proposal("gates", "max_simple_model_deficit", "0.022")])
    out = capsys.readouterr().out
    assert "min_auc" not in out
    assert "# gates=Gates(...)" in out


def test_a_bias_is_as_far_from_nothing_as_its_further_end():
    metrics = {"test.bias": -0.4, "test.bias.low": -0.7, "test.bias.high": -0.1}
    declared = use_case("regression")
    answer = {"metrics": metrics, "rows": {"test": 100}, "findings": []}
    (bias,) = gate_proposals(declared, answer)
    assert bias.proposed == "0.7"


def test_a_metric_that_the_trial_lacks_proposes_nothing():
    assert gate_proposals(USE_CASE, {"metrics": {}, "rows": {}, "findings": []}) == []


def test_the_lines_are_python_and_fit_eighty_columns(capsys):
    figure = "0.705, most of 120, in the interval from 2013-10-01 00:00, values " + "'LAX', " * 12
    print_pasted(USE_CASE, [proposal("raw/weather.humidity", "max_shift", "0.89", figure)])
    lines = capsys.readouterr().out.splitlines()
    assert "To paste into include/use_cases/flight_delays/spec.py:" in lines
    assert max(map(len, lines)) <= 80
    assert eval("dict(" + "\n".join(lines[3:]) + "\n)") == {"max_shift": 0.89}


def test_where_nothing_is_proposed_nothing_is_to_be_pasted(capsys):
    print_pasted(USE_CASE, [])
    assert capsys.readouterr().out == ""
