"""The search for parameters: seeded, every trial recorded, the declared parameters always among them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from include.evaluation.evaluate import labels_of
from include.features.transform import FeatureTransform
from include.spec import UseCase
from include.training.fitting import fit_booster, to_dmatrix

if TYPE_CHECKING:
    import optuna

DEFAULT_MAX_BIN = 256


@dataclass(frozen=True)
class Trial:
    """One trial: the searched parameters, the validation log loss (nats) and the best round."""

    number: int
    parameters: dict[str, Any]
    validation_logloss: float
    best_iteration: int

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return asdict(self)


def tune(use_case: UseCase, train: pl.DataFrame, validation: pl.DataFrame, *, trials: int, threads: int) -> list[Trial]:
    """All trials in order. They fit the newest `trial_rows` training rows; trial 0 is the specification's own parameters.

    The sampler is TPE (Bergstra et al., 2011), seeded. Without a search space there is one trial.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training = use_case.training
    max_bin = int(training.parameters.get("max_bin", DEFAULT_MAX_BIN))
    recent = train.tail(training.trial_rows)
    transform = FeatureTransform.fit(use_case, recent)
    fitted = to_dmatrix(transform, transform.apply_frame(recent), labels_of(use_case, recent), threads=threads, max_bin=max_bin)
    judged = to_dmatrix(
        transform, transform.apply_frame(validation), labels_of(use_case, validation), threads=threads, max_bin=max_bin, like=fitted
    )
    done: list[Trial] = []

    def objective(trial: optuna.Trial) -> float:
        searched = {name: _suggest(trial, use_case, name) for name in training.search_space}
        fit = fit_booster(use_case, {**training.parameters, **searched}, fitted, judged, threads=threads)
        done.append(Trial(trial.number, searched, fit.validation_logloss, fit.best_iteration))
        return fit.validation_logloss

    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=training.seed))
    study.enqueue_trial({name: training.parameters[name] for name in training.search_space if name in training.parameters})
    study.optimize(objective, n_trials=trials if training.search_space else 1)
    return done


def best_trial(trials: list[Trial]) -> Trial:
    """The trial with the lowest validation log loss, the earliest of equals."""
    return min(trials, key=lambda trial: (trial.validation_logloss, trial.number))


def _suggest(trial: optuna.Trial, use_case: UseCase, name: str) -> int | float:
    low, high = use_case.training.search_space[name]
    log = name in use_case.training.log_scale
    if float(low).is_integer() and float(high).is_integer():
        return int(trial.suggest_int(name, int(low), int(high), log=log))
    return float(trial.suggest_float(name, low, high, log=log))
