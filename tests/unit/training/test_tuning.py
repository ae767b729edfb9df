from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from optuna.storages.journal import JournalFileBackend

from include.evaluation.evaluate import labels_of
from include.features.transform import FeatureTransform
from include.interval import Interval
from include.settings import PROJECT_ROOT, load_settings
from include.stats.metrics import log_loss
from include.steps import RunInfo, StepContext
from include.training.fitting import fit_booster, to_dmatrix
from include.training.study import drop_torn_line, journal_of
from include.training.tuning import best_trial, tune
from tests.unit.model.synthetic import START, USE_CASE, parcels

pytestmark = pytest.mark.slow  # measured at two seconds or more

TRAIN, VALIDATION = parcels(1500, seed=1), parcels(500, seed=2)


def matrices():
    transform = FeatureTransform.fit(USE_CASE, TRAIN)
    train = to_dmatrix(
        transform, transform.apply_frame(TRAIN), labels_of(USE_CASE, TRAIN), threads=1, max_bin=256
    )
    rows = transform.apply_frame(VALIDATION)
    return (
        transform,
        train,
        to_dmatrix(
            transform, rows, labels_of(USE_CASE, VALIDATION), threads=1, max_bin=256, like=train
        ),
    )


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
    assert tune(small, TRAIN, VALIDATION, trials=2, threads=1) == tune(
        small, TRAIN.tail(400), VALIDATION, trials=2, threads=1
    )
    assert tune(small, TRAIN, VALIDATION, trials=2, threads=1) != tune(
        USE_CASE, TRAIN, VALIDATION, trials=2, threads=1
    )


def test_without_a_search_space_there_is_one_trial():
    training = USE_CASE.training.model_copy(update={"search_space": {}})
    trials = tune(
        USE_CASE.model_copy(update={"training": training}), TRAIN, VALIDATION, trials=4, threads=1
    )
    assert [trial.parameters for trial in trials] == [{}]


def test_the_booster_holds_the_trees_of_its_best_round_only():
    transform, train, validation = matrices()
    fit = fit_booster(USE_CASE, {"max_depth": 6, "eta": 0.5}, train, validation, threads=1)
    scores = fit.booster.inplace_predict(transform.apply_frame(VALIDATION))
    assert (
        fit.booster.num_boosted_rounds() == fit.best_iteration + 1 < USE_CASE.training.boost_rounds
    )
    assert log_loss(labels_of(USE_CASE, VALIDATION), scores) == pytest.approx(
        fit.validation_logloss, abs=1e-6
    )
    assert fit.validation_logloss == min(fit.history["validation"])


def test_one_and_two_threads_give_the_same_bytes():
    _, train, validation = matrices()
    fits = [
        fit_booster(USE_CASE, {"max_depth": 4}, train, validation, threads=threads)
        for threads in (1, 2)
    ]
    assert (
        len({hashlib.sha256(bytes(fit.booster.save_raw("ubj"))).hexdigest() for fit in fits}) == 1
    )


def searched(**training):
    return USE_CASE.model_copy(update={"training": USE_CASE.training.model_copy(update=training)})


PRUNING = searched(
    boost_rounds=200,
    early_stopping_rounds=200,
    prune_after_rounds=30,
    search_space={"max_depth": (1, 8), "eta": (0.001, 0.5)},
)


def test_a_hopeless_trial_is_pruned_recorded_and_never_the_best(tmp_path):
    trials = tune(PRUNING, TRAIN, VALIDATION, trials=8, threads=1, journal=tmp_path / "t.journal")
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert len(trials) == 8
    assert pruned
    assert best_trial(trials).state == "complete"
    assert {trial.number for trial in pruned}.isdisjoint({0, 1})
    unpruned = searched(**{**PRUNING.training.model_dump(), "prune_after_rounds": 1000})
    assert all(
        trial.state == "complete"
        for trial in tune(unpruned, TRAIN, VALIDATION, trials=8, threads=1)
    )


def test_the_search_ends_when_its_seconds_are_used_up_but_not_before_the_first_trial():
    hurried = searched(**{**USE_CASE.training.model_dump(), "tuning_seconds": 1e-9})
    assert len(tune(hurried, TRAIN, VALIDATION, trials=50, threads=1)) == 1


def test_seconds_before_a_restart_count(tmp_path):
    journal = tmp_path / "t.journal"
    assert len(tune(USE_CASE, TRAIN, VALIDATION, trials=3, threads=1, journal=journal)) == 3
    hurried = searched(**{**USE_CASE.training.model_dump(), "tuning_seconds": 1e-3})
    assert len(tune(hurried, TRAIN, VALIDATION, trials=9, threads=1, journal=journal)) == 3


SEARCH = """
import sys
from pathlib import Path
from include.training.tuning import tune
from tests.unit.training.test_tuning import PRUNING, TRAIN, VALIDATION

if __name__ == "__main__":
    tune(PRUNING, TRAIN, VALIDATION, trials=24, threads=1, journal=Path(sys.argv[1]))
"""


def finished_trials(journal):
    import optuna

    study = optuna.load_study(
        study_name="tuning",
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(journal))),
    )
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return [(trial.params, trial.datetime_complete) for trial in study.get_trials(states=states)]


def test_a_search_that_is_killed_goes_on_and_ends_like_one_that_was_not(tmp_path):
    journal = tmp_path / "killed.journal"
    process = subprocess.Popen([sys.executable, "-c", SEARCH, str(journal)], cwd=PROJECT_ROOT)
    deadline = time.monotonic() + 120
    while not journal.exists() or len(finished_trials_of(journal)) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    before = finished_trials_of(journal)
    assert 1 <= len(before) < 24
    resumed = tune(PRUNING, TRAIN, VALIDATION, trials=24, threads=1, journal=journal)
    assert finished_trials(journal)[: len(before)] == before
    uninterrupted = tune(PRUNING, TRAIN, VALIDATION, trials=24, threads=1)
    assert resumed == uninterrupted
    assert best_trial(resumed).parameters == best_trial(uninterrupted).parameters
    assert tune(PRUNING, TRAIN, VALIDATION, trials=24, threads=1, journal=journal) == resumed
    assert len(finished_trials(journal)) == 24


def finished_trials_of(journal):
    """What the killed process left, read from a copy whose torn line is cut."""
    copy = journal.with_suffix(".copy")
    shutil.copy(journal, copy)
    drop_torn_line(copy)
    try:
        return finished_trials(copy)
    except KeyError:  # the study itself is not in the journal yet
        return []


def test_a_journal_belongs_to_one_run_on_one_set_of_data_and_declarations(tmp_path):
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(tmp_path)})
    interval = Interval(START, START + timedelta(days=1))
    context = StepContext(USE_CASE, settings, interval, RunInfo("training", "run_1"))
    searched = {
        "snapshot_digest": "a",
        "boundaries": {"test_start": "2020-01-20"},
        "code_commit": "c",
    }
    first = journal_of(context, **searched)
    assert first == journal_of(context, **searched)
    others = [
        journal_of(context, **{**searched, "snapshot_digest": "b"}),
        journal_of(context, **{**searched, "code_commit": "d"}),
        journal_of(replace(context, use_case=PRUNING), **searched),
        journal_of(replace(context, run=RunInfo("training", "run_2")), **searched),
    ]
    assert len({first, *others}) == 5
