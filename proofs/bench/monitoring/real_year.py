"""Performance that is estimated without labels against the truth, month by month of the real year.

One model learns the first three quarters of January to March; the last quarter is its reference.
Every later month is estimated from its scores alone, and scored against what came true. Whether the
concept holds in a month is what the check `kind_of_change` says, once its labels have come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.estimate import estimate
from include.monitoring.checks.kind_of_change import TOO_LITTLE, TOO_MUCH, kind_of_change
from include.spec import Monitoring
from include.stats.clustered import auc_error
from include.stats.metrics import roc_auc
from include.stats.two_samples import Sample
from include.use_cases.flight_delays.source import NEW_YORK, read_flights, read_weather

NUMBERS = (
    "hour",
    "weekday",
    "distance",
    "late_yesterday",
    "temperature",
    "humidity",
    "wind_speed",
    "precipitation",
    "pressure",
    "visibility",
)
CATEGORIES = ("carrier", "origin", "dest")
LEARNED_SHARE = 0.75
LEARNED_MONTHS = 3
LAST_MONTH = 12
PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 5,
    "eta": 0.1,
    "min_child_weight": 20,
    "subsample": 0.9,
    "nthread": 2,
}
ROUNDS = 120
LIMITS = Monitoring(minimum_rows=1_000)


@dataclass(frozen=True)
class Month:
    """The error of a month's estimates and which kind of change it is.

    Calibrated on the reference alone, or on the months before too, whose labels have come by then.
    Above zero an estimate promised too much. `by_chance` is the standard error of the truth itself,
    whose days share their weather; `promises` what the check says of an estimate that knows the
    former relation alone, where the relation changed.
    """

    month: int
    truth: float
    by_chance: float
    by_reference: float
    by_months: float
    kind: str
    promises: str

    @property
    def holds(self) -> bool:
        """Whether the relation between inputs and label is what it was."""
        return "concept" not in self.kind


def estimate_months(share: float, seed: int) -> list[Month]:
    """The months after the training, of a share of the flights; the seed is the training's."""
    import xgboost

    rows = _rows(share)
    learned = rows.filter(pl.col("month") <= LEARNED_MONTHS)
    cut = int(learned.height * LEARNED_SHARE)
    codes = {
        name: {value: float(place) for place, value in enumerate(learned[name].unique().sort())}
        for name in CATEGORIES
    }
    trained = _matrix(learned[:cut], codes)
    booster = xgboost.train(
        {**PARAMETERS, "seed": seed},
        xgboost.DMatrix(trained, learned["late"][:cut].to_numpy()),
        ROUNDS,
    )

    def side(frame: pl.DataFrame) -> Side:
        matrix = _matrix(frame, codes)
        columns = dict(zip((*NUMBERS, *CATEGORIES), matrix.T.astype(np.float64), strict=True))
        sample = Sample(columns, frozenset(CATEGORIES), frame["day"].to_numpy())
        scores = booster.predict(xgboost.DMatrix(matrix)).astype(np.float64)
        return Side(sample, scores=scores, labels=frame["late"].cast(pl.Float64).to_numpy())

    reference = side(learned[cut:])
    months: list[Month] = []
    before: list[Side] = []
    for month in range(LEARNED_MONTHS + 1, LAST_MONTH + 1):
        serving = side(rows.filter(pl.col("month") == month))
        months.append(_month(month, serving, reference, tuple(before)))
        before.append(serving)
    return months


def _month(month: int, serving: Side, reference: Side, before: tuple[Side, ...]) -> Month:
    window = Window(serving, reference, LIMITS, seed=month)
    truth = roc_auc(serving.labels, serving.scores)
    blocks = serving.sample.blocks
    rows = np.arange(serving.rows) if blocks is None else blocks
    by_reference, by_months = (
        _estimated(Window(serving, reference, LIMITS, matured=matured, seed=month)) - truth
        for matured in ((), before)
    )
    return Month(
        month,
        truth,
        auc_error(serving.labels, serving.scores, rows).value,
        by_reference,
        by_months,
        *kind_and_promise(window),
    )


def kind_and_promise(window: Window) -> tuple[str, str]:
    """What the check says of a window's change, and of the side to which an estimate errs."""
    findings = {item.rule: item for item in kind_of_change(window)}
    if "kind" not in findings:
        return "not judged", ""
    reason = findings["loss_split"].reason
    promises = [words for words in (TOO_MUCH, TOO_LITTLE) if words in reason]
    return str(findings["kind"].observed), promises[0] if promises else ""


def _estimated(window: Window) -> float:
    return next(float(str(i.observed)) for i in estimate(window) if i.rule == "estimated_auc")


def _rows(share: float) -> pl.DataFrame:
    """Flights that have landed, with the weather of the hour in which they are asked about, and
    how late their airport's flights were the day before.
    """
    flights = read_flights(share).drop_nulls("late")
    local = pl.col("scheduled_departure").dt.convert_time_zone(NEW_YORK)
    flights = flights.with_columns(
        observed_at=pl.col("asked_at").dt.truncate("1h") - pl.duration(hours=1),
        month=local.dt.month(),
        hour=local.dt.hour().cast(pl.Float64),
        weekday=local.dt.weekday().cast(pl.Float64),
        date=local.dt.date(),
    )
    late = flights.group_by("origin", "date").agg(pl.col("late").mean().alias("late_yesterday"))
    late = late.with_columns(pl.col("date").dt.offset_by("1d"))
    weather = read_weather().unique(["origin", "observed_at"]).drop("known_at")
    joined = flights.join(weather, on=["origin", "observed_at"], how="left").join(
        late, on=["origin", "date"], how="left"
    )
    day = pl.col("date").cast(pl.Int32).cast(pl.Int64).alias("day")
    return joined.with_columns(day).sort("asked_at", "flight_id")


def _matrix(frame: pl.DataFrame, codes: dict[str, dict[str, float]]) -> np.ndarray:
    numbers = frame.select(pl.col(NUMBERS).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    places = [
        frame[name]
        .replace_strict(codes[name], default=float("nan"), return_dtype=pl.Float64)
        .to_numpy()
        for name in CATEGORIES
    ]
    return np.column_stack([numbers, *places]).astype(np.float32)
