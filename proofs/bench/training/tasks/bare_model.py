"""The second half of the bare script: split, tune, fit, evaluate, plot, save.

`bare` imports this module while its clock runs, as the steps of the DAG import what they need.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from include.evaluation.evaluate import evaluate, labels_of
from include.evaluation.plots import write_plots
from include.features.transform import FeatureTransform
from include.model.package import ScoringModel
from include.spec import Training, UseCase
from include.steps import StepContext
from proofs.bench.training.joins import EVENT_TIME

Splits = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Script:
    """What every fit needs."""

    use_case: UseCase
    splits: Splits
    threads: int

    @property
    def training(self) -> Training:
        """How the use case trains."""
        return self.use_case.training


def fit_and_evaluate(context: StepContext, frame: pl.DataFrame, folder: Path, trials: int) -> float:
    """Write plots, model.ubj and evaluation.json to `folder`; the validation log loss of the final
    fit.
    """
    use_case, training = context.use_case, context.use_case.training
    script = Script(use_case, _splits(training, frame), context.settings.training_threads)
    parameters = {**training.parameters, **_tuned(script, trials)}
    transform, booster = _fit(script, script.splits["train"], parameters)
    _evaluate(script, transform, booster, folder)
    return float(booster.best_score)


def _splits(training: Training, frame: pl.DataFrame) -> Splits:
    first, second = (
        int(frame.height * share)
        for share in (training.train_share, training.train_share + training.validation_share)
    )
    times = frame[EVENT_TIME]
    return {
        "train": frame.filter(times < times[first]),
        "validation": frame.filter((times >= times[first]) & (times < times[second])),
        "test": frame.filter(times >= times[second]),
    }


def _tuned(script: Script, trials: int) -> dict[str, Any]:
    """The parameters of the best trial."""
    import optuna

    training, train = script.training, script.splits["train"]

    def objective(trial: optuna.Trial) -> float:
        searched = {
            name: _suggested(trial, name, low, high, log=name in training.log_scale)
            for name, (low, high) in training.search_space.items()
        }
        rows = train.tail(training.trial_rows)
        _, booster = _fit(script, rows, {**training.parameters, **searched})
        return float(booster.best_score)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=training.seed))
    study.enqueue_trial({name: training.parameters[name] for name in training.search_space})
    study.optimize(objective, n_trials=trials)
    return dict(study.best_params)


def _suggested(trial: Any, name: str, low: float, high: float, *, log: bool) -> int | float:
    value: int | float
    if float(low).is_integer() and float(high).is_integer():
        value = trial.suggest_int(name, int(low), int(high), log=log)
    else:
        value = trial.suggest_float(name, low, high, log=log)
    return value


def _fit(
    script: Script, rows: pl.DataFrame, parameters: Mapping[str, Any]
) -> tuple[FeatureTransform, Any]:
    """The transform and the booster of some rows, stopped early by the validation rows."""
    import xgboost

    training, validation = script.training, script.splits["validation"]
    transform = FeatureTransform.fit(script.use_case, rows)
    options = {
        "feature_names": transform.feature_names,
        "feature_types": transform.feature_types,
        "enable_categorical": True,
        "nthread": script.threads,
        "max_bin": int(parameters.get("max_bin", 256)),
    }
    matrix = xgboost.QuantileDMatrix(
        transform.apply_frame(rows), label=labels_of(script.use_case, rows), **options
    )
    validated = xgboost.QuantileDMatrix(
        transform.apply_frame(validation),
        label=labels_of(script.use_case, validation),
        ref=matrix,
        **options,
    )
    booster = xgboost.train(
        _booster_parameters(script, parameters),
        matrix,
        num_boost_round=training.boost_rounds,
        evals=[(matrix, "train"), (validated, "validation")],
        early_stopping_rounds=training.early_stopping_rounds,
        verbose_eval=False,
    )
    return transform, booster


def _booster_parameters(script: Script, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        **parameters,
        "seed": script.training.seed,
        "nthread": script.threads,
    }


def _evaluate(script: Script, transform: FeatureTransform, booster: Any, folder: Path) -> None:
    use_case, splits = script.use_case, script.splits
    best = booster[: booster.best_iteration + 1]
    metadata: Any = SimpleNamespace(base_rate=float(labels_of(use_case, splits["train"]).mean()))
    model = ScoringModel(
        booster=best, transform=transform, metadata=metadata, reference={}, golden={}, digest=""
    )
    evaluation = evaluate(use_case, model, splits)
    test, scores = splits["test"], model.score_frame(splits["test"])
    labels = labels_of(use_case, test)
    attributed = (evaluation["attributions"], evaluation["attribution_rows"])
    write_plots(folder / "plots", model, labels, scores, *attributed)
    best.save_model(folder / "model.ubj")
    (folder / "evaluation.json").write_text(json.dumps(evaluation, default=str))
