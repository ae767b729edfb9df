"""A brittle model, one that hangs on a single value and one that learned the wrong way round are
refused; so is a forbidden reason.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.errors import SpecError
from include.evaluation.gates.attribution import attribution
from include.evaluation.gates.base import GateInput
from include.evaluation.gates.registry import run_gates
from include.evaluation.gates.sensitivity import (
    direction,
    invariance,
    missing_values,
    perturbation,
    spans,
    whole_numbers,
)
from include.features.transform import FeatureTransform
from include.model.package import ScoringModel, load_model, write_package
from include.spec import UseCase
from include.spec.expectations import Direction, FairnessGroups, Invariance
from include.training.fitting import fit_booster, to_dmatrix
from tests.unit.evaluation.gates.candidates import candidate, fitted, limited, refused_by
from tests.unit.model.synthetic import USE_CASE, fitted_package, parcels

HIGHER = Direction(input="load", change=0.3, expect="not_lower", maximum=1.0)


@cache
def brittle() -> ScoringModel:
    """Fitted to labels that alternate along the load:

    40 steps up and down, each as wide as a few hundredths of its span.
    """
    frame = parcels()
    labels = (frame["depot_daily__load"].fill_null(0.0) * 40).floor().cast(pl.Int64).to_numpy() % 2
    transform = FeatureTransform.fit(USE_CASE, frame)
    matrix = transform.apply_frame(frame)
    data = to_dmatrix(transform, matrix, labels, threads=1, max_bin=256)
    fit = fit_booster(USE_CASE, {"max_depth": 8, "eta": 0.5}, data, data, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        _, model = fitted_package(Path(folder) / "like", frame)
        write_package(
            Path(folder) / "package",
            fit.booster,
            transform,
            model.metadata,
            model.reference,
            model.golden,
        )
        return load_model(Path(folder) / "package")


@cache
def upside_down() -> ScoringModel:
    """Fitted to loads that were turned round: more load, less late."""
    with tempfile.TemporaryDirectory() as folder:
        return fitted_package(
            Path(folder) / "package",
            parcels().with_columns((1.0 - pl.col("depot_daily__load")).alias("depot_daily__load")),
        )[1]


def with_model(model: ScoringModel) -> GateInput:
    return replace(candidate(), model=model)


def test_noise_hardly_moves_a_smooth_model_and_throws_a_brittle_one():
    assert [row.passed for row in perturbation(candidate())] == [True, True]
    rows = perturbation(with_model(brittle()))
    assert [(row.metric, row.passed) for row in rows] == [
        ("mean_change", False),
        ("p99_change", False),
    ]
    assert "perturbation" in refused_by(with_model(brittle()))


def test_larger_noise_moves_more_and_the_same_noise_is_drawn_again():
    small, large = (
        perturbation(limited(candidate(), perturbation=size))[0].observed for size in (0.01, 0.1)
    )
    assert large > 2 * small
    assert small == perturbation(candidate())[0].observed


def test_whole_numbers_move_by_whole_numbers_or_stay():
    matrix = np.array([[1.0, 0.5, 200.0], [np.nan, 1.0, 300.0]])
    assert whole_numbers(matrix).tolist() == [True, False, True]
    seen = []

    class Watched(ScoringModel):
        def score_matrix(self, matrix):
            seen.append(matrix)
            return super().score_matrix(matrix)

    model, test = fitted()
    watched = Watched(
        booster=model.booster,
        transform=model.transform,
        metadata=model.metadata,
        reference=model.reference,
        golden={},
        digest=model.digest,
    )
    counts = test.with_columns(pl.lit(3.0).alias("depot_daily__load"))
    perturbation(replace(with_model(watched), test=counts))
    assert len(seen) == 2
    assert np.array_equal(*seen, equal_nan=True), "three parcels are never 3.01"


def test_hours_and_categories_have_no_small_change_and_a_point_mass_takes_the_spread_of_the_rows():
    model, test = fitted()
    matrix = model.transform.apply_frame(test)
    edges = model.reference["inputs"]["load"]["edges"]
    assert spans(model, matrix).tolist() == [0.0, 0.0, pytest.approx(edges[-1] - edges[0])]
    point = {
        **model.reference,
        "inputs": {
            **model.reference["inputs"],
            "load": {"edges": [0.5, np.nextafter(np.float32(0.5), np.float32(1))]},
        },
    }
    one = ScoringModel(
        booster=model.booster,
        transform=model.transform,
        metadata=model.metadata,
        reference=point,
        golden={},
        digest=model.digest,
    )
    assert spans(one, matrix)[2] == pytest.approx(np.nanstd(matrix[:, 2].astype(np.float64)))


def test_an_input_on_which_everything_hangs_is_refused_by_name_when_it_is_missing():
    rows = missing_values(limited(candidate(), max_missing_change=0.1))
    assert [(row.part, row.passed) for row in rows] == [
        ("depot", True),
        ("pickup_hour", True),
        ("load", False),
    ]


def test_an_invariant_input_that_matters_is_refused_and_one_that_does_not_is_not():
    declared = (
        Invariance(inputs=("pickup_hour",), max_change=0.06),
        Invariance(inputs=("load", "depot"), max_change=0.06),
    )
    rows = invariance(limited(candidate(), invariances=declared))
    assert [(row.part, row.passed) for row in rows] == [
        ("pickup_hour", True),
        ("load+depot", False),
    ]


def test_a_model_that_learned_the_wrong_way_round_is_refused_only_where_a_direction_is_declared():
    right, wrong = (
        limited(with_model(model), directions=(HIGHER,)) for model in (fitted()[0], upside_down())
    )
    assert [row.passed for row in direction(right)] == [True]
    row = direction(wrong)[0]
    assert row.passed is False
    assert row.observed > 0.05
    assert "against the expectation" in row.reason
    assert "direction" not in refused_by(limited(wrong, directions=()))


def test_a_direction_counts_changed_rows_only_and_refuses_when_there_are_none():
    known = fitted()[1]["depot_daily__load"].drop_nulls().len()
    row = direction(
        limited(candidate(), directions=(Direction(input="load", change=0.3, expect="not_lower"),))
    )[0]
    assert f"over {known} rows" in row.reason
    stuck = Direction(input="load", change=0.3, expect="not_lower", maximum=-1.0, minimum=-1.0)
    test = fitted()[1].with_columns(pl.lit(-1.0).alias("depot_daily__load"))
    row = direction(limited(replace(candidate(), test=test), directions=(stuck,)))[0]
    assert (row.passed, row.observed) == (False, None)
    assert "changes no test row" in row.reason


def test_a_dominant_and_a_forbidden_input_are_refused_by_name():
    rows = attribution(
        limited(
            candidate(),
            max_attribution_share=0.5,
            forbidden_inputs=("depot", "pickup_hour"),
            max_forbidden_share=0.2,
        )
    )
    assert [(row.metric, row.part, row.passed) for row in rows] == [
        ("largest_share", "load", False),
        ("forbidden_share", "depot", False),
        ("forbidden_share", "pickup_hour", True),
    ]
    assert "attribution" not in refused_by(candidate())


def test_an_expectation_of_an_input_that_the_model_lacks_is_refused():
    declared = limited(
        candidate(),
        invariances=(Invariance(inputs=("colour",)),),
        directions=(replace_input(HIGHER, "colour"),),
    )
    assert all("colour" in reason for reason in run_gates(declared).reasons)
    assert {"invariance", "direction"} == refused_by(declared)


def replace_input(declared: Direction, name: str) -> Direction:
    return declared.model_copy(update={"input": name})


@pytest.mark.parametrize("field", ["model", "test"])
def test_without_model_or_rows_every_one_of_these_gates_refuses(field):
    given = limited(candidate(), invariances=(Invariance(inputs=("load",)),), directions=(HIGHER,))
    refused = refused_by(replace(given, **{field: None}, problem="DigestMismatch: model.ubj"))
    assert {"perturbation", "missing_values", "invariance", "direction", "attribution"} <= refused


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"invariances": (Invariance(inputs=("colour",)),)}, "gates.invariances names 'colour'"),
        ({"forbidden_inputs": ("colour",)}, "gates.forbidden_inputs names 'colour'"),
        (
            {"directions": (Direction(input="depot", change=1, expect="not_lower"),)},
            "gates.directions names 'depot'",
        ),
        ({"fairness": (FairnessGroups(column="colour"),)}, "gates.fairness names 'colour'"),
    ],
)
def test_an_expectation_of_something_undeclared_is_a_contradiction_of_the_specification(
    limits, text
):
    gates = USE_CASE.gates.model_copy(update=limits)
    with pytest.raises(ValueError, match=text):
        UseCase.model_validate({**dict(USE_CASE), "gates": gates})


def test_a_direction_without_a_change_tests_nothing():
    with pytest.raises(SpecError, match="tests nothing"):
        Direction(input="load", change=0.0, expect="not_lower")
