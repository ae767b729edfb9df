from __future__ import annotations

import hashlib

import pytest

from include.evaluation.evaluate import labels_of
from include.evaluation.metrics import log_loss
from include.features.transform import FeatureTransform
from include.training.fitting import fit_booster, to_dmatrix
from include.training.tuning import best_trial, tune
from tests.unit.registry.synthetic import USE_CASE, parcels

TRAIN, VALIDATION = parcels(1500, seed=1), parcels(500, seed=2)


def matrices():
    transform = FeatureTransform.fit(USE_CASE, TRAIN)
    train = to_dmatrix(transform, transform.apply_frame(TRAIN), labels_of(USE_CASE, TRAIN), threads=1, max_bin=256)
    rows = transform.apply_frame(VALIDATION)
    return transform, train, to_dmatrix(transform, rows, labels_of(USE_CASE, VALIDATION), threads=1, max_bin=256, like=train)


def test_tuning_twice_gives_the_same_trials_and_starts_from_the_declared_parameters():
    first = tune(USE_CASE, TRAIN, VALIDATION, trials=4, threads=1)
    assert first == tune(USE_CASE, TRAIN, VALIDATION, trials=4, threads=1)
    assert first[0].parameters == USE_CASE.training.parameters
    assert len({str(trial.parameters) for trial in first}) == 4
    assert best_trial(first).validation_logloss == min(trial.validation_logloss for trial in first)


def test_suggestions_stay_in_the_search_space_with_whole_numbers_where_declared():
    for trial in tune(USE_CASE, TRAIN, VALIDATION, trials=5, threads=1):
        assert isinstance(trial.parameters["max_depth"], int)
        assert 2 <= trial.parameters["max_depth"] <= 4
        assert 0.05 <= trial.parameters["eta"] <= 0.4


def test_trials_see_the_newest_rows_only():
    training = USE_CASE.training.model_copy(update={"trial_rows": 400})
    small = USE_CASE.model_copy(update={"training": training})
    assert tune(small, TRAIN, VALIDATION, trials=2, threads=1) == tune(small, TRAIN.tail(400), VALIDATION, trials=2, threads=1)
    assert tune(small, TRAIN, VALIDATION, trials=2, threads=1) != tune(USE_CASE, TRAIN, VALIDATION, trials=2, threads=1)


def test_without_a_search_space_there_is_one_trial():
    training = USE_CASE.training.model_copy(update={"search_space": {}})
    trials = tune(USE_CASE.model_copy(update={"training": training}), TRAIN, VALIDATION, trials=4, threads=1)
    assert [trial.parameters for trial in trials] == [{}]


def test_the_booster_holds_the_trees_of_its_best_round_only():
    transform, train, validation = matrices()
    fit = fit_booster(USE_CASE, {"max_depth": 6, "eta": 0.5}, train, validation, threads=1)
    scores = fit.booster.inplace_predict(transform.apply_frame(VALIDATION))
    assert fit.booster.num_boosted_rounds() == fit.best_iteration + 1 < USE_CASE.training.boost_rounds
    assert log_loss(labels_of(USE_CASE, VALIDATION), scores) == pytest.approx(fit.validation_logloss, abs=1e-6)
    assert fit.validation_logloss == min(fit.history["validation"])


def test_one_and_two_threads_give_the_same_bytes():
    _, train, validation = matrices()
    fits = [fit_booster(USE_CASE, {"max_depth": 4}, train, validation, threads=threads) for threads in (1, 2)]
    assert len({hashlib.sha256(bytes(fit.booster.save_raw("ubj"))).hexdigest() for fit in fits}) == 1
