"""What a use case declares about its estimator reaches the fit: monotone inputs, class weights; and
the device is never made up.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from include.errors import SettingsError, SpecError
from include.evaluation.evaluate import labels_of
from include.features.transform import FeatureTransform
from include.settings import load_settings
from include.spec import Input, UseCase
from include.training.estimator import cuda_devices, declared_parameters, device_parameters
from include.training.fitting import Fit, fit_booster, to_dmatrix
from tests.unit.model.synthetic import USE_CASE, parcels

TRAIN, VALIDATION = parcels(1500, seed=1), parcels(500, seed=2)
ROUGH = {"max_depth": 6, "eta": 0.3}


def fitted(use_case: UseCase) -> tuple[FeatureTransform, Fit]:
    transform = FeatureTransform.fit(use_case, TRAIN)
    train = to_dmatrix(
        transform, transform.apply_frame(TRAIN), labels_of(use_case, TRAIN), threads=1, max_bin=256
    )
    rows = transform.apply_frame(VALIDATION)
    judged = to_dmatrix(
        transform, rows, labels_of(use_case, VALIDATION), threads=1, max_bin=256, like=train
    )
    return transform, fit_booster(use_case, ROUGH, train, judged, threads=1)


def steps_of_load(use_case: UseCase) -> np.ndarray:
    """Differences of the score along a rising load, everything else as in the first row."""
    transform, fit = fitted(use_case)
    row = VALIDATION.head(1).drop("depot_daily__load")
    frame = row.join(pl.DataFrame({"depot_daily__load": np.linspace(0, 1, 200)}), how="cross")
    return np.diff(fit.booster.inplace_predict(transform.apply_frame(frame)))


def monotone(direction: int) -> UseCase:
    inputs = tuple(
        item.model_copy(update={"monotone": direction}) if item.name == "load" else item
        for item in USE_CASE.inputs
    )
    return USE_CASE.model_copy(update={"inputs": inputs})


def test_a_declared_direction_holds_and_without_it_the_score_goes_both_ways():
    assert (steps_of_load(monotone(1)) >= 0).all()
    assert (steps_of_load(monotone(-1)) <= 0).all()
    free = steps_of_load(USE_CASE)
    assert (free < 0).any()
    assert (free > 0).any()


def test_a_category_cannot_be_monotone():
    with pytest.raises(SpecError, match="a category has no order"):
        Input(name="depot", source="depot", kind="category", monotone=1)


def test_nothing_declared_changes_nothing():
    assert declared_parameters(USE_CASE) == {}
    assert device_parameters("cpu") == {}


def test_class_weights_raise_the_scores_of_the_heavier_class():
    heavy = USE_CASE.model_copy(
        update={"training": USE_CASE.training.model_copy(update={"class_weights": (1.0, 4.0)})}
    )
    assert declared_parameters(heavy) == {"scale_pos_weight": 4.0}
    plain, weighted = (
        fit.booster.inplace_predict(transform.apply_frame(VALIDATION)).mean()
        for transform, fit in (fitted(USE_CASE), fitted(heavy))
    )
    assert weighted > plain + 0.1


def test_a_device_that_is_not_there_is_refused():
    assert (
        load_settings(
            {"FLIGHTDECK_ENV": "test", "FLIGHTDECK_TRAINING_DEVICE": "cuda"}
        ).training_device
        == "cuda"
    )
    with pytest.raises(SettingsError, match="FLIGHTDECK_TRAINING_DEVICE"):
        load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_TRAINING_DEVICE": "tpu"})
    if cuda_devices():
        assert device_parameters("cuda") == {"device": "cuda"}
    else:
        with pytest.raises(SettingsError, match="shows no GPU"):
            device_parameters("cuda")
