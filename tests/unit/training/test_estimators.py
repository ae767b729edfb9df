"""Every problem with XGBoost and with scikit-learn: fitted, packaged, inspected, evaluated, gated,
repeatable; misuse says why.
"""

from __future__ import annotations

import json
import shutil
import sys
import types
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from include.errors import RegistryError, SpecError
from include.evaluation.attributed_rows import BIAS
from include.evaluation.evaluate import day_clusters, evaluate, labels_of, metric_names
from include.evaluation.gates.base import Champion, GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.slices import slice_parts
from include.features.preparation import preparation
from include.features.transform import FeatureTransform
from include.model.fitted import SKOPS_FILE
from include.model.inspection import inspect_package
from include.model.package import METADATA_FILE, load_model, package_digest, write_package
from include.problems.registry import strategy_of
from include.registry.metric_names import slice_metrics
from include.spec.expectations import Direction, FairnessGroups, Invariance
from include.training.sklearn_fitting import build_estimator, fit_sklearn
from include.training.tuning import best_trial, tune
from tests.unit.model.synthetic import under_limits
from tests.unit.problems.problem_cases import rows, splits, trained, use_case

pytestmark = pytest.mark.slow

CASES = [
    (problem, sklearn)
    for problem in ("binary", "regression", "multiclass")
    for sklearn in (False, True)
]
NAMES = [f"{problem}-{'sklearn' if sklearn else 'xgboost'}" for problem, sklearn in CASES]
SHAPES = {"binary": (), "regression": (), "multiclass": (3,)}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """One package per problem and estimator, made on first use."""
    made = {}

    def package(problem, sklearn):
        key = (problem, sklearn)
        if key not in made:
            made[key] = trained(
                use_case(problem, sklearn=sklearn), tmp_path_factory.mktemp(f"{problem}-{sklearn}")
            )
        return made[key]

    return package


def gate_input(case, package, **changes) -> GateInput:
    """What the gates judge; evaluation and inspection are made once per package."""
    if not hasattr(package, "evaluation"):
        package.evaluated = evaluate(case, package.model, package.parts)
        package.evaluation = metric_names(package.evaluated)
        package.inspection = inspect_package(package.folder, package.digest)
    test = package.parts["test"]
    parts = slice_parts(case, package.model.transform, test)
    values = {
        "use_case": case,
        "metrics": dict(package.evaluation),
        "slice_metrics": slice_metrics(
            package.evaluation, "test", [part.identity for part in parts]
        ),
        "evaluated_digest": package.digest,
        "package_digest": package.digest,
        "labels": labels_of(case, test),
        "days": day_clusters(case, test),
        "slices": parts,
        "scores": package.model.score_frame(test),
        "champion": None,
        "inspection": package.inspection,
        "package": package.folder,
        "model": package.model,
        "test": test,
    }
    return GateInput(**{**values, **changes})


@pytest.mark.parametrize(("problem", "sklearn"), CASES, ids=NAMES)
def test_a_few_rows_of_every_problem_are_attributed(packages, problem, sklearn):
    case, package = use_case(problem, sklearn=sklearn), packages(problem, sklearn)
    gate_input(case, package)
    rows, inputs = package.evaluated["attribution_rows"], len(package.model.transform.inputs)
    chosen = {row["row"] for row in rows}
    assert 3 <= len(chosen) <= 5
    assert len(rows) == len(chosen) * (inputs + (not sklearn))
    assert {row["input"] for row in rows} - set(package.model.transform.feature_names) == (
        set() if sklearn else {BIAS}
    )
    assert any(abs(row["contribution"]) > 0.01 for row in rows)
    matrix = package.model.transform.apply_frame(package.parts["test"])
    highest = next(row for row in rows if row["why"] == "highest answer")
    answers = strategy_of(case).answer(package.model.score_matrix(matrix))
    assert highest["answer"] == pytest.approx(answers.max())


@pytest.mark.parametrize(("problem", "sklearn"), CASES, ids=NAMES)
def test_a_good_model_of_every_problem_passes_all_gates_from_its_package(
    packages, problem, sklearn
):
    case, package = use_case(problem, sklearn=sklearn), packages(problem, sklearn)
    given = gate_input(case, package)
    assert given.scores.shape == (package.parts["test"].height, *SHAPES[problem])
    assert package.model.score_frame(package.parts["test"].head(0)).shape == (0, *SHAPES[problem])
    assert package.model.check_golden() == 0.0
    assert given.inspection.unsafe == []
    assert given.inspection.measured["libraries"] == {}
    assert given.inspection.measured["architecture"] == package.model.metadata.architecture
    verdict = run_gates(given)
    assert not verdict.reasons, verdict.reasons
    gates = {row.rule for row in verdict.findings}
    assert {
        "evaluated_object",
        "bootstrap_rule",
        "calibration",
        "baselines",
        "perturbation",
        "attribution",
        "latency",
    } <= gates


def refused(case, package, **changes) -> set[str]:
    rows_ = run_gates(gate_input(case, package, **changes)).findings
    return {row.rule for row in rows_ if not row.passed}


REFUSALS = {
    "errors": ("regression", {"max_rmse": 1.0}),
    "calibration": ("regression", {"max_decile_error": 0.001}),
    "slice_r2": ("regression", {"min_slice_brier_skill": 0.99}),
    "slice_bias": ("regression", {"max_slice_bias": 0.0}),
    "logloss": ("multiclass", {"max_logloss": 0.01}),
    "auc": ("multiclass", {"min_auc": 0.999}),
    "accuracy": ("multiclass", {"min_accuracy": 0.999}),
    "brier": ("multiclass", {"max_brier": 0.01}),
    "slice_brier": ("multiclass", {"min_slice_brier_skill": 0.99}),
    "slice_calibration": ("multiclass", {"max_slice_calibration_excess": 0.0}),
    "perturbation": ("regression", {"perturbation": 3.0}),
    "direction": (
        "regression",
        {"directions": (Direction(input="load", change=0.3, expect="not_higher"),)},
    ),
    "invariance": (
        "multiclass",
        {"invariances": (Invariance(inputs=("load",), max_change=0.001),)},
    ),
    "fairness": (
        "multiclass",
        {
            "fairness": (
                FairnessGroups(column="depot", max_selection_difference=0.01, minimum_rows=50),
            )
        },
    ),
    "baselines": ("regression", {"max_simple_model_deficit": 0.0}),
}


@pytest.mark.parametrize("gate", REFUSALS)
def test_each_threshold_of_a_problem_refuses(packages, gate):
    problem, limits = REFUSALS[gate]
    case, package = use_case(problem), packages(problem, False)
    strict = under_limits(case, **limits)
    given = gate_input(strict, package)
    if gate == "baselines":
        given.metrics["test.baseline.simple.mse"] = given.metrics["test.mse"] / 2
        given.metrics["test.baseline.simple.deficit.low"] = 0.01
    found = {row.rule for row in run_gates(given).findings if not row.passed}
    assert found == {gate}


def test_fairness_of_a_regression_compares_the_groups_mean_errors(packages):
    case, package = use_case("regression"), packages("regression", False)
    groups = FairnessGroups(column="depot", minimum_rows=50, max_error_difference=5.0)
    fair = case.model_copy(update={"gates": case.gates.model_copy(update={"fairness": (groups,)})})
    assert refused(fair, package) == set()
    west = (package.parts["test"]["depot"] == "west").to_numpy()
    unfair = package.model.score_frame(package.parts["test"]) + 9.0 * west
    assert "fairness" in refused(fair, package, scores=unfair)


@pytest.mark.parametrize("problem", ["regression", "multiclass"])
def test_an_equal_champion_refuses_and_a_worse_one_does_not(packages, problem):
    case, package = use_case(problem), packages(problem, False)
    test = package.parts["test"]
    scores = package.model.score_frame(test)
    prior = (
        np.tile(scores.mean(axis=0), (len(scores), 1))
        if problem == "multiclass"
        else np.full(len(scores), scores.mean())
    )
    assert refused(case, package, champion=Champion(1, scores)) == {"champion_improvement"}
    assert refused(case, package, champion=Champion(1, prior)) == set()
    assert refused(case, package, champion=Champion(1, scores[:5])) == {
        "champion_improvement",
        "champion_slices",
    }


@pytest.mark.parametrize(
    "metric", ["test.rmse", "test.r2", "test.bias", "test.mse", "test.baseline.last_value.mse"]
)
def test_a_metric_that_is_missing_refuses(packages, metric):
    case, package = use_case("regression"), packages("regression", False)
    given = gate_input(case, package)
    given = replace(
        given, metrics={name: value for name, value in given.metrics.items() if name != metric}
    )
    assert any("missing" in reason for reason in run_gates(given).reasons)


@pytest.mark.parametrize(("problem", "sklearn"), CASES, ids=NAMES)
def test_a_second_fit_gives_the_same_package_byte_for_byte(packages, tmp_path, problem, sklearn):
    assert (
        trained(use_case(problem, sklearn=sklearn), tmp_path).digest
        == packages(problem, sklearn).digest
    )


def test_a_package_with_a_type_that_is_not_allowed_is_refused_by_name_and_not_loaded(
    packages, tmp_path
):
    package = packages("multiclass", True)
    folder = tmp_path / "package"
    shutil.copytree(package.folder, folder)
    metadata = json.loads((folder / METADATA_FILE).read_text()) | {
        "estimator": "sklearn.linear_model.LogisticRegression"
    }
    (folder / METADATA_FILE).write_text(json.dumps(metadata))
    record = json.loads((folder / "digest.json").read_text()) | {"digest": package_digest(folder)}
    (folder / "digest.json").write_text(json.dumps(record))
    with pytest.raises(RegistryError, match=r"TreePredictor.*Nothing was loaded"):
        load_model(folder)
    found = inspect_package(folder, record["digest"])
    assert found.measured is None
    assert [
        text for text in found.unsafe if text.startswith(SKOPS_FILE) and "TreePredictor" in text
    ]


def test_tuning_searches_parameters_of_scikit_learn_and_goes_on_from_its_journal(tmp_path):
    case, parts = use_case("binary", sklearn=True), splits(rows(1500))
    journal = tmp_path / "t.journal"
    some = tune(case, parts["train"], parts["validation"], trials=2, threads=1, journal=journal)
    trials = tune(case, parts["train"], parts["validation"], trials=4, threads=1, journal=journal)
    assert trials[:2] == some
    assert len({trial.parameters["C"] for trial in trials}) == 4
    assert all(0.01 <= trial.parameters["C"] <= 10 for trial in trials)
    assert best_trial(trials).validation_logloss == min(trial.validation_loss for trial in trials)


def test_trials_of_a_regression_are_compared_by_its_loss():
    case, parts = use_case("regression"), splits(rows(1500))
    (trial,) = tune(case, parts["train"], parts["validation"], trials=1, threads=1)
    assert trial.as_json()["validation_rmse"] == trial.validation_loss > 1.0
    absolute = under_limits(case, loss="absolute")
    assert tune(absolute, parts["train"], parts["validation"], trials=1, threads=1)[0].loss == "mae"


def fitted_shares(problem, sklearn, weights, tmp_path):
    case = use_case(problem, sklearn=sklearn, class_weights=weights)
    package = trained(case, tmp_path)
    scores = package.model.score_frame(package.parts["test"])
    return scores.mean(axis=0)


@pytest.mark.parametrize("sklearn", [False, True])
def test_class_weights_raise_the_scores_of_the_heavier_class(packages, tmp_path, sklearn):
    plain = packages("multiclass", sklearn)
    heavy = fitted_shares("multiclass", sklearn, (1.0, 1.0, 5.0), tmp_path)
    assert heavy[2] > plain.model.score_frame(plain.parts["test"]).mean(axis=0)[2] + 0.05


def declared(problem="binary", **estimator):
    parameters = estimator.pop("parameters", {})
    return use_case(
        problem,
        estimator={"kind": "sklearn", **estimator},
        parameters=parameters,
        search_space={},
        log_scale=(),
    )


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (declared(path="sklearn.linear_model.Nothing"), "is no estimator"),
        (declared(path="sklearn.nowhere.Ridge"), "No module named"),
        (declared(path="sklearn.linear_model.Ridge"), "is no classifier"),
        (declared("regression", path="sklearn.linear_model.LogisticRegression"), "is no regressor"),
        (declared(path="sklearn.svm.LinearSVC"), "gives no probabilities"),
        (
            declared(path="sklearn.linear_model.LogisticRegression", parameters={"max_depth": 3}),
            "has no parameters",
        ),
        (
            declared(path="sklearn.linear_model.LogisticRegression", prepare=False),
            "takes no missing values",
        ),
        (declared(path="sklearn.ensemble.VotingClassifier"), "without arguments"),
        (declared(factory="pipeline"), r"needs include/use_cases/parcels/model\.py"),
    ],
    ids=range(9),
)
def test_an_estimator_that_cannot_be_used_says_why(case, text):
    train = rows(300)
    transform = FeatureTransform.fit(case, train)
    with pytest.raises(SpecError, match=text):
        fit_sklearn(
            case,
            transform,
            case.training.parameters,
            transform.apply_frame(train),
            labels_of(case, train),
        )


def test_the_seed_reaches_the_estimator_unless_declared_and_processes_stay_out_of_the_model():
    case = declared(path="sklearn.ensemble.RandomForestClassifier", parameters={"random_state": 7})
    train = rows(300)
    transform = FeatureTransform.fit(case, train)
    assert (
        build_estimator(case, transform, {}).get_params()["model__random_state"]
        == case.training.seed
    )
    assert (
        build_estimator(case, transform, case.training.parameters).get_params()[
            "model__random_state"
        ]
        == 7
    )
    fitted = fit_sklearn(
        case,
        transform,
        {"n_estimators": 3, "n_jobs": 1},
        transform.apply_frame(train),
        labels_of(case, train),
    )
    assert fitted.estimator.get_params()["model__n_jobs"] is None


def test_a_package_without_its_model_file_is_refused(packages, tmp_path):
    model = packages("binary", True).model
    folder = tmp_path / "package"
    write_package(
        folder,
        packages("binary", False).model.fitted,
        model.transform,
        model.metadata,
        model.reference,
        model.golden,
    )
    with pytest.raises(RegistryError, match=r"lacks \['model.skops'\]"):
        load_model(folder)


def test_the_predicted_classes_of_the_training_rows_are_the_reference_of_drift(packages):
    package = packages("multiclass", False)
    shares = package.model.reference["predicted_class"]
    found = (
        pl.Series(package.model.score_frame(package.parts["train"]).argmax(axis=1))
        .value_counts(normalize=True)
        .sort("")
    )
    assert shares["categories"] == ["early", "on_time", "late"]
    assert shares["shares"][:3] == pytest.approx(found["proportion"].to_list())


def forest(case, transform):
    """What a use case's model.py may hold."""
    return Pipeline(
        [
            ("prepare", preparation(transform)),
            ("model", RandomForestClassifier(10, max_depth=6, min_samples_leaf=20)),
        ]
    )


@pytest.fixture
def factory(monkeypatch):
    """`include/use_cases/parcels/model.py` with the function `forest`."""
    module = types.ModuleType("include.use_cases.parcels.model")
    vars(module)["forest"] = forest
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_pipeline_of_a_factory_is_trained_with_declared_parameters_and_types(factory, tmp_path):
    estimator = {
        "factory": "forest",
        "prepare": False,
        "trusted_types": ("sklearn.tree._tree.Tree",),
    }
    case = declared("multiclass", **estimator, parameters={"model__n_estimators": 5})
    package = trained(case, tmp_path)
    steps = package.model.metadata.architecture["steps"]
    assert [step["name"] for step in steps] == ["prepare", "model"]
    assert steps[1]["trees"] == 5
    assert steps[1]["parameters"]["random_state"] == case.training.seed
    assert package.model.metadata.estimator == "model:forest"
    assert refused(case, package) == set()


def test_a_type_that_a_factory_needs_and_does_not_declare_is_named(factory, tmp_path):
    with pytest.raises(RegistryError, match=r"sklearn\.tree\._tree\.Tree.*trusted_types"):
        trained(declared("binary", factory="forest", prepare=False), tmp_path)


def test_a_factory_that_is_not_there_is_named(factory, tmp_path):
    with pytest.raises(SpecError, match="has no function 'tree'"):
        trained(declared("binary", factory="tree", prepare=False), tmp_path)
