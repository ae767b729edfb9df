"""Other problems and estimators on the real flights: trained, tuned, gated, registered, repeated,
scored and watched.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from cli.records.reproduce import reproduce
from include.catalogue import load_use_case
from include.data_sets.champion_reference import champion_reference
from include.evaluation.champion import score_champion
from include.inference_log.log import ship
from include.model.engine import open_engine
from include.model.package import golden_columns, load_model
from include.monitoring.overview.page import page_path
from include.monitoring.overview.series import metric_name, read_series
from include.registry import versions
from include.registry.client import connect
from include.release.model_store import publish, set_desired
from include.settings import load_settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.data import land
from proofs.harness.databases import mlflow_at
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import BUSY_MACHINE
from tests.integration.dag_runs import run_dag
from tests.unit.scoring.world import HISTORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*type hint is inferred as AnyType:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:evidently"),
]

NAME = "flight_delays"
MARCH = datetime(2013, 3, 1, tzinfo=UTC)
TREE_PARAMETERS = (
    "max_depth",
    "eta",
    "min_child_weight",
    "subsample",
    "colsample_bytree",
    "max_bin",
)
ARRIVAL_MINUTES = {"column": "arrival_delay"}
# What a month of a sample can bear; that each threshold refuses is proven by the unit tests.
LENIENT = {
    "directions": [],
    "invariances": [],
    "forbidden_inputs": [],
    "max_simple_model_deficit": 0.2,
    "min_slice_brier_skill": -1.0,
    "max_slice_calibration_excess": 0.4,
    "min_golden_gain": -0.5,
    "max_attribution_share": 0.9,
    "min_baseline_skill": -0.05,
    **BUSY_MACHINE,
}
LENIENT_GROUPS = {
    "column": "origin",
    "minimum_rows": 100,
    **dict.fromkeys(
        (
            "max_selection_difference",
            "max_true_positive_difference",
            "max_false_positive_difference",
        ),
        1.0,
    ),
    **dict.fromkeys(
        ("min_selection_ratio", "min_true_positive_ratio", "min_false_positive_ratio"), 0.0
    ),
}
REGRESSION = {
    "slices": [{"column": "origin", "minimum_rows": 100}],
    "problem": {
        "kind": "regression",
        "max_rmse": 90,
        "max_mae": 50,
        "min_r2": -0.1,
        "max_bias": 25,
        "max_decile_error": 50,
        "max_slice_bias": 1.0,
    },
    "label": ARRIVAL_MINUTES,
    "baseline_input": None,
    "gates": {
        **LENIENT,
        "fairness": [{"column": "origin", "minimum_rows": 100, "max_error_difference": 30.0}],
    },
    "training": {
        "estimator": {"kind": "sklearn", "path": "sklearn.linear_model.Ridge"},
        "parameters": {**dict.fromkeys(TREE_PARAMETERS), "alpha": 10.0},
        "search_space": {**dict.fromkeys(TREE_PARAMETERS[:3]), "alpha": [1.0, 10000.0]},
        "log_scale": ["alpha"],
    },
}
MULTICLASS = {
    "slices": [{"column": "origin", "minimum_rows": 100}],
    "problem": {
        "kind": "multiclass",
        "classes": ["early", "on_time", "late"],
        "bounds": [-10, 15],
        "positive": "late",
        "min_auc": 0.52,
        "max_brier": 0.75,
        "max_calibration_error": 0.25,
        "max_logloss": 1.2,
        "min_accuracy": 0.35,
    },
    "label": ARRIVAL_MINUTES,
    "baseline_input": None,
    "gates": {
        **LENIENT,
        "fairness": [LENIENT_GROUPS],
    },
    "training": {"boost_rounds": 20},
}


@pytest.fixture(params=["regression", "multiclass"], scope="module")
def trained(request, tmp_path_factory, airflow_database):
    """A home of its own, a seventh of January's and February's flights, and the wired training on
    them under the overlay.
    """
    home = tmp_path_factory.mktemp(request.param)
    overlay = home / "overlay.json"
    overlay.write_text(
        json.dumps({NAME: REGRESSION if request.param == "regression" else MULTICLASS})
    )
    given = {
        "FLIGHTDECK_HOME": str(home),
        "FLIGHTDECK_MLFLOW_TRACKING_URI": mlflow_at(home / "mlflow.db"),
        "FLIGHTDECK_SPEC_OVERLAY": str(overlay),
        "FLIGHTDECK_SAMPLE_SHARE": "0.15",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        settings = load_settings(os.environ)
        land(settings, HISTORY)
        run = run_dag(
            "flight_delays__training",
            None,
            {"until": "2013-03-01", "reason": f"a {request.param}", "trials": 2},
        )
        yield SimpleNamespace(
            problem=request.param, settings=settings, use_case=load_use_case(NAME), run=run
        )


def test_the_wired_training_registers_a_model_that_can_be_repeated(trained, tmp_path):
    reasons = trained.run.results.get("check_gates", {}).get("reasons")
    assert trained.run.state == "success", reasons or trained.run.tasks
    results, settings = trained.run.results, trained.settings
    verdict = results["check_gates"]
    gates = {row["rule"] for row in verdict["findings"]}
    own = {
        "regression": {"errors", "slice_r2", "slice_bias"},
        "multiclass": {"logloss", "accuracy", "slice_brier"},
    }[trained.problem]
    assert own | {"fairness", "golden", "baselines", "artefact_safety", "runtime_validity"} <= gates
    version = versions.version(settings, trained.use_case, results["register_model"]["version"])
    model = load_model(versions.download(version, tmp_path), expected_digest=version.digest)
    assert model.metadata.problem == trained.problem
    assert model.metadata.estimator == (
        "sklearn.linear_model.Ridge" if trained.problem == "regression" else "xgboost"
    )
    trials = connect(settings).search_runs(
        [results["open_run"]["experiment_id"]],
        f"tags.`mlflow.parentRunId` = '{results['open_run']['mlflow_run_id']}'",
    )
    assert len(trials) == 2
    loss = "validation.rmse" if trained.problem == "regression" else "validation.logloss"
    assert all(loss in trial.data.metrics for trial in trials)
    engine = open_engine(model)
    matrix = model.transform.apply(golden_columns(model.transform, model.golden["rows"]))
    np.testing.assert_allclose(
        engine.predict(matrix), np.asarray(model.golden["scores"]), atol=1e-4
    )
    report = reproduce(settings, NAME, version.version)
    assert report.outcome == "identical", report


def test_the_registered_model_scores_and_is_watched_by_the_wired_dags(trained):
    settings, number = trained.settings, trained.run.results["register_model"]["version"]
    versions.set_champion(settings, trained.use_case, number)
    scored = run_dag("flight_delays__batch_scoring", MARCH)
    assert scored.state == "success", scored.tasks
    predictions = TableStore(settings.tables_uri).read(f"{NAME}/predictions")
    assert predictions.height > 3000
    if trained.problem == "multiclass":
        assert set(predictions["predicted_class"]) <= {"early", "on_time", "late"}
        assert predictions["score"].min() >= 1 / 3
    else:
        assert predictions["score"].std() > 1.0
    watched = run_dag("flight_delays__monitoring", MARCH)
    assert watched.state in ("success", "failed"), watched.tasks
    performance = watched.results["evaluate_performance"]
    wanted = {"regression": {"rmse", "mae", "r2", "bias"}, "multiclass": {"accuracy", "ece"}}[
        trained.problem
    ]
    assert wanted <= performance["batch"].keys()
    assert performance["judged"] is True
    assert len([check for check in performance["findings"] if check["noise"] is not None]) == 2
    kinds = {
        column["column"]
        for column in watched.results["detect_drift"]["columns"]
        if column["kind"] == "score"
    }
    assert kinds == ({"score"} if trained.problem == "regression" else {"score", "predicted_class"})
    row = TableStore(settings.tables_uri).read(f"{NAME}/monitoring").row(0, named=True)
    metric = "rmse" if trained.problem == "regression" else "accuracy"
    assert row[metric] == pytest.approx(performance["batch"][metric])
    (window,) = read_series(trained.use_case, TableStore(settings.tables_uri)).windows
    assert window.metric.low < row[metric] < window.metric.high
    assert (window.estimated is not None) == (trained.problem == "regression")
    shown = page_path(settings, trained.use_case).read_text(encoding="utf-8")
    assert f"<b>{metric_name(trained.use_case)}</b>" in shown


def test_the_endpoint_answers_explains_or_says_why_not_and_logs(trained, tmp_path):
    settings = trained.settings
    version = versions.version(
        settings, trained.use_case, trained.run.results["register_model"]["version"]
    )
    package = versions.download(version, tmp_path)
    publish(settings, NAME, package, version.version, version.digest)
    set_desired(settings, NAME, version.version, version.digest)
    golden = load_model(package).golden
    rows = [as_request(trained.use_case, row) for row in golden["rows"][:10]]
    endpoint = Endpoint(settings, changes={"FLIGHTDECK_GRPC_PORT": "0"})
    try:
        endpoint.start()
        endpoint.wait_for("/readyz")
        answer = endpoint.predict(rows)
        assert answer.status_code == 200, answer.text
        explained = endpoint.client.post(f"/v1/models/{NAME}/explain", json={"rows": rows[:1]})
        assert (explained.status_code, explained.json()["error"]["code"]) == (
            409,
            "not_explainable",
        )
        page = endpoint.client.get("/").text
        assert "cannot be asked for its reasons" in page
        assert "gives the reasons" not in page
        told = {
            "prediction_id": answer.json()["predictions"][0]["prediction_id"],
            "label": 12.5 if trained.problem == "regression" else "late",
        }
        assert endpoint.client.post(
            f"/v1/models/{NAME}/feedback", json={"feedback": [told]}
        ).json()["recorded"]
    finally:
        endpoint.stop()
        endpoint.client.close()
    predictions = answer.json()["predictions"]
    ship(settings, NAME)
    table = TableStore(settings.tables_uri).read(f"{NAME}/inference_log")
    logged = {row["prediction_id"]: row for row in table.iter_rows(named=True)}
    for prediction, score in zip(predictions, golden["scores"][:10], strict=True):
        row = logged[prediction["prediction_id"]]
        if trained.problem == "regression":
            assert prediction["value"] == row["score"] == pytest.approx(score, abs=1e-4)
        else:
            assert list(prediction["probabilities"].values()) == pytest.approx(score, abs=1e-6)
            assert (
                prediction["class"]
                == row["predicted_class"]
                == max(prediction["probabilities"], key=prediction["probabilities"].get)
            )
            assert row["score"] == prediction["probabilities"][prediction["class"]]


def as_request(use_case, row):
    """A row of a request that brings all features."""
    given = (
        *use_case.serving.entity_keys,
        *(field.name for field in use_case.serving.request_fields),
        use_case.event_time,
    )
    return {name: row.get(name) for name in given} | {
        "features": {name: value for name, value in row.items() if "__" in name}
    }


def test_a_champion_of_another_problem_is_no_reference_and_is_not_compared(trained):
    settings = trained.settings
    current = versions.champion(settings, USE_CASE)
    reference, failures = champion_reference(USE_CASE, current, "snapshot")
    assert reference is None
    assert f"is a {trained.problem} model" in failures[0].observed
    rows = TableStore(settings.tables_uri).read(f"{NAME}/predictions").head(10)
    assert score_champion(current, rows, threads=1, problem=trained.problem).scores.shape[0] == 10
    compared = score_champion(current, rows, threads=1, problem="binary")
    assert compared.scores is None
    assert f"it is a {trained.problem} model" in compared.problem
