"""The same training as a bare script: read, join, snapshot, split, tune, fit, evaluate, save. No
Airflow, MLflow, checks or gates.

The join, the search and the fit are written against Polars, Optuna and XGBoost directly; the
evaluation and its plots are the product's own functions, so that both sides evaluate the same.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from proofs.bench.training.joins import EVENT_TIME, STAMP, VIEWS
from proofs.bench.training.world import YEAR, year_context


def train(arguments: dict[str, Any]) -> dict[str, Any]:
    """Everything in one function's life; the answer holds the validation log loss of the final fit,
    for comparison.
    """
    context = year_context("bare")
    use_case, root = context.use_case, context.settings.tables_uri
    started = time.perf_counter()
    frame = _snapshot(root, use_case.training.window_days)
    folder = Path(arguments["folder"])
    frame.write_delta(str(folder / "snapshot"), mode="overwrite")
    logloss = _fit_and_evaluate(context, frame, folder, int(arguments["trials"]))
    return {
        "seconds": time.perf_counter() - started,
        "validation_logloss": logloss,
        "rows": frame.height,
    }


def _snapshot(root: str, days: int) -> pl.DataFrame:
    inside = (pl.col(EVENT_TIME) >= YEAR.end - pl.duration(days=days)) & (
        pl.col(EVENT_TIME) < YEAR.end
    )
    columns = [
        "flight_id",
        EVENT_TIME,
        "carrier",
        "origin",
        "dest",
        "tailnum",
        "scheduled_departure",
    ]
    flights = pl.scan_delta(f"{root}/raw/flights").filter(inside).select(columns)
    labels = (
        pl.scan_delta(f"{root}/raw/arrivals")
        .filter(pl.col("known_at") < YEAR.end)
        .select("flight_id", "late", "known_at")
    )
    frame = flights.join(labels, on="flight_id").sort(EVENT_TIME, "flight_id").collect()
    for view, (keys, features, ttl) in VIEWS.items():
        values = (
            pl.scan_delta(f"{root}/features/{view}")
            .select(*keys, STAMP, *features)
            .sort(STAMP)
            .collect()
        )
        values = values.rename({name: f"{view}__{name}" for name in features})
        frame = frame.join_asof(
            values,
            left_on=EVENT_TIME,
            right_on=STAMP,
            by=list(keys),
            tolerance=ttl,
            check_sortedness=False,
        ).drop(STAMP, strict=False)
    return frame


def _fit_and_evaluate(context: Any, frame: pl.DataFrame, folder: Path, trials: int) -> float:
    import optuna
    import xgboost

    from include.evaluation.evaluate import evaluate, labels_of
    from include.evaluation.plots import write_plots
    from include.features.transform import FeatureTransform
    from include.model.package import ScoringModel

    use_case, training, threads = (
        context.use_case,
        context.use_case.training,
        context.settings.training_threads,
    )
    first, second = (
        int(frame.height * share)
        for share in (training.train_share, training.train_share + training.validation_share)
    )
    times = frame[EVENT_TIME]
    splits = {
        "train": frame.filter(times < times[first]),
        "validation": frame.filter((times >= times[first]) & (times < times[second])),
        "test": frame.filter(times >= times[second]),
    }

    def fit(
        rows: pl.DataFrame, parameters: dict[str, Any]
    ) -> tuple[FeatureTransform, xgboost.Booster]:
        transform = FeatureTransform.fit(use_case, rows)
        options = {
            "feature_names": transform.feature_names,
            "feature_types": transform.feature_types,
            "enable_categorical": True,
            "nthread": threads,
            "max_bin": int(parameters.get("max_bin", 256)),
        }
        matrix = xgboost.QuantileDMatrix(
            transform.apply_frame(rows), label=labels_of(use_case, rows), **options
        )
        judged = xgboost.QuantileDMatrix(
            transform.apply_frame(splits["validation"]),
            label=labels_of(use_case, splits["validation"]),
            ref=matrix,
            **options,
        )
        booster = xgboost.train(
            {
                "objective": "binary:logistic",
                "eval_metric": "logloss",
                "tree_method": "hist",
                **parameters,
                "seed": training.seed,
                "nthread": threads,
            },
            matrix,
            num_boost_round=training.boost_rounds,
            evals=[(matrix, "train"), (judged, "validation")],
            early_stopping_rounds=training.early_stopping_rounds,
            verbose_eval=False,
        )
        return transform, booster

    def objective(trial: optuna.Trial) -> float:
        searched = {
            name: trial.suggest_int(name, int(low), int(high), log=name in training.log_scale)
            if float(low).is_integer() and float(high).is_integer()
            else trial.suggest_float(name, low, high, log=name in training.log_scale)
            for name, (low, high) in training.search_space.items()
        }
        _, booster = fit(
            splits["train"].tail(training.trial_rows), {**training.parameters, **searched}
        )
        return float(booster.best_score)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=training.seed))
    study.enqueue_trial({name: training.parameters[name] for name in training.search_space})
    study.optimize(objective, n_trials=trials)
    transform, booster = fit(splits["train"], {**training.parameters, **study.best_params})
    best = booster[: booster.best_iteration + 1]
    metadata: Any = SimpleNamespace(base_rate=float(labels_of(use_case, splits["train"]).mean()))
    model = ScoringModel(
        booster=best, transform=transform, metadata=metadata, reference={}, golden={}, digest=""
    )
    evaluation = evaluate(use_case, model, splits)
    test, scores = splits["test"], model.score_frame(splits["test"])
    write_plots(
        folder / "plots", model, labels_of(use_case, test), scores, evaluation["attributions"]
    )
    best.save_model(folder / "model.ubj")
    (folder / "evaluation.json").write_text(json.dumps(evaluation, default=str))
    return float(booster.best_score)
