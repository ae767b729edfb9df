"""The synthetic parcels with a label of each problem, and a package trained on it with an estimator
of choice.
"""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl

from include.interval import Interval
from include.settings import load_settings
from include.spec import Column, Gates, Label, Multiclass, Regression, Table, UseCase
from include.steps import RunInfo, StepContext
from tests.unit.model.synthetic import DAYS, PARCELS, START, USE_CASE, parcels

CLASSES = ("early", "on_time", "late")
LABELS = {
    "binary": USE_CASE.label,
    "regression": Label(column="minutes", description="Minutes late."),
    "multiclass": Label(column="outcome", description=""),
}
# The parcels' labels are noisy functions of one input: a linear model is hard to beat, and without
# that input little is known. How fast the machine of a test is, is no question here.
EASY = {
    "max_attribution_share": 0.95,
    "max_simple_model_deficit": 0.1,
    "max_missing_change": 1.0,
    "max_latency_p50_ms": 500.0,
    "max_latency_p99_ms": 5000.0,
    "max_batch_ms": 5000.0,
}
PROBLEMS = {
    "binary": USE_CASE.problem,
    "regression": Regression(max_rmse=14, max_mae=11, min_r2=0.3, max_bias=3, max_decile_error=6),
    "multiclass": Multiclass(
        classes=CLASSES,
        positive="late",
        max_logloss=1.0,
        min_auc=0.7,
        max_brier=0.6,
        max_calibration_error=0.1,
        min_accuracy=0.5,
    ),
}
GATES = {
    "binary": USE_CASE.gates.model_copy(update=EASY),
    "regression": Gates(**EASY),
    "multiclass": Gates(**EASY),
}
SKLEARN = {
    "binary": "sklearn.linear_model.LogisticRegression",
    "regression": "sklearn.linear_model.Ridge",
    "multiclass": "sklearn.ensemble.HistGradientBoostingClassifier",
}
PARAMETERS = {
    "binary": {"max_iter": 500},
    "regression": {},
    "multiclass": {
        "max_iter": 25,
        "learning_rate": 0.15,
        "max_leaf_nodes": 7,
        "min_samples_leaf": 40,
    },
}
DELIVERIES = Table(
    name="raw/deliveries",
    key=("parcel_id",),
    time_column="known_at",
    columns=tuple(
        Column(name=name, type=kind)
        for name, kind in (
            ("parcel_id", "string"),
            ("known_at", "timestamp"),
            ("late", "integer"),
            ("minutes", "number"),
            ("outcome", "string"),
        )
    ),
)


def use_case(problem: str, *, sklearn: bool = False, **training) -> UseCase:
    """The parcels' use case with another problem; with `sklearn` another estimator."""
    values = USE_CASE.model_dump()
    values |= {
        "problem": PROBLEMS[problem].model_dump(),
        "label": LABELS[problem].model_dump(),
        "gates": GATES[problem].model_dump(),
    }
    values["tables"] = [PARCELS.model_dump(), DELIVERIES.model_dump()]
    values["baseline_input"] = "load" if problem == "binary" else None
    if sklearn:
        values["training"] |= {
            "estimator": {"kind": "sklearn", "path": SKLEARN[problem]},
            "parameters": PARAMETERS[problem],
            "search_space": {"C": (0.01, 10.0)} if problem == "binary" else {},
            "log_scale": ("C",) if problem == "binary" else (),
        }
    values["training"] |= training
    return UseCase.model_validate(values)


def rows(count: int = 3000, seed: int = 1) -> pl.DataFrame:
    """Parcels whose delay in minutes follows load and depot, and what became of them as one of
    three classes.
    """
    frame, random = parcels(count, seed), np.random.default_rng(seed + 100)
    load = frame["depot_daily__load"].fill_null(0.5).to_numpy()
    minutes = (
        40.0 * load
        - 10.0
        + 12.0 * (frame["depot"] == "west").to_numpy()
        + random.normal(0.0, 8.0, count)
    )
    outcome = np.array(CLASSES)[(minutes > 0.0).astype(int) + (minutes > 15.0)]
    return frame.with_columns(pl.Series("minutes", minutes), pl.Series("outcome", outcome))


def splits(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Train, validation and test in time."""
    first, second = int(frame.height * 0.6), int(frame.height * 0.8)
    return {"train": frame[:first], "validation": frame[first:second], "test": frame[second:]}


def context(case: UseCase, home, run_id: str = "run") -> StepContext:
    """A step context below `home`."""
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home)})
    return StepContext(
        case, settings, Interval(START, START + timedelta(days=DAYS)), RunInfo("training", run_id)
    )


def trained(
    case: UseCase, home, frame: pl.DataFrame | None = None, run_id: str = "run"
) -> SimpleNamespace:
    """The package of a final fit with the declared parameters:

    `folder`, `digest`, `fit`, `model`, `parts`.
    """
    from include.model.package import load_model
    from include.training.package import train_package

    parts = splits(rows() if frame is None else frame)
    snapshot = {"name": "parcels/snapshots/x", "uri": "tables/x", "version": 0, "digest": "0" * 64}
    folder, digest, fit = train_package(
        context(case, home, run_id), parts, case.training.parameters, snapshot, "unknown"
    )
    return SimpleNamespace(
        folder=folder, digest=digest, fit=fit, model=load_model(folder), parts=parts
    )
