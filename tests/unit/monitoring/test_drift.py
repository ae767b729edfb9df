"""PSI, its noise, the reference's checks, and the verdict over all inputs by the check."""

import copy
import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from include.errors import DataError, RegistryError
from include.model.package import ScoringModel
from include.model.reference_check import checked_reference
from include.monitoring.checks.base import Side, Window
from include.monitoring.checks.distribution import distribution
from include.monitoring.drift import ColumnDrift, measure, verdict
from include.monitoring.window import sample_of
from include.spec import Monitoring
from include.stats.psi import psi, psi_noise
from tests.unit.model.synthetic import DAYS, START, USE_CASE, fitted_package, parcels

LIMITS = Monitoring(drift_effect=0.18, drifted_share=0.3, minimum_rows=500, block=None)

weights = st.lists(st.integers(0, 1000), min_size=3, max_size=3).filter(any)


def shares(counts: list[int]) -> list[float]:
    return [count / sum(counts) for count in counts]


def judged(
    model: ScoringModel, frame: pl.DataFrame, learned: pl.DataFrame, limits: Monitoring = LIMITS
) -> tuple[list[ColumnDrift], dict[str, Any]]:
    """The columns and the verdict of a window of the frame beside what was learned."""
    case = USE_CASE.model_copy(update={"monitoring": limits})
    scores = [model.score_frame(side) for side in (frame, learned)]
    sides = [
        Side(sample_of(case, model, side), scores=score, labels=np.zeros(side.height))
        for side, score in zip((frame, learned), scores, strict=True)
    ]
    if "score" in frame.columns:
        sides[0] = replace(sides[0], scores=frame["score"].to_numpy())
    findings = distribution(Window(sides[0], sides[1], limits))
    measured = measure(model, scored(model, frame), limits, findings)
    return measured, verdict(measured, limits, findings)


def scored(model: ScoringModel, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.Series("score", model.score_frame(frame)))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return parcels()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, frame: pl.DataFrame) -> ScoringModel:
    return fitted_package(tmp_path_factory.mktemp("package") / "model", frame)[1]


@pytest.fixture
def model(package: ScoringModel) -> ScoringModel:
    fresh = copy.copy(package)
    fresh.reference = copy.deepcopy(package.reference)
    return fresh


def test_psi_of_a_worked_example() -> None:
    # (0.3 - 0.5) ln(0.3 / 0.5) + (0.3 - 0.3) ln 1 + (0.4 - 0.2) ln(0.4 / 0.2) = 0.102165 + 0 +
    # 0.138629
    assert psi([0.5, 0.3, 0.2], [0.3, 0.3, 0.4]) == pytest.approx(0.240794, abs=1e-6)


def test_an_empty_bin_counts_as_the_floor() -> None:
    assert psi([1.0, 0.0], [0.9, 0.1]) == pytest.approx(
        -0.1 * math.log(0.9) + 0.0999 * math.log(0.1 / 1e-4)
    )


@given(weights, weights)
def test_psi_is_never_negative_and_symmetric(left: list[int], right: list[int]) -> None:
    forth, back = psi(shares(left), shares(right)), psi(shares(right), shares(left))
    assert forth >= 0.0
    assert forth == pytest.approx(back, abs=1e-12)


@given(weights)
def test_psi_of_equal_shares_is_zero(counts: list[int]) -> None:
    assert psi(shares(counts), shares(counts)) == 0.0


def test_psi_refuses_different_bins() -> None:
    with pytest.raises(DataError, match="same bins"):
        psi([0.5, 0.5], [1.0])


@pytest.mark.parametrize("bins", [2, 3, 4, 11, 105])
def test_noise_is_the_chi_square_quantile(bins: int) -> None:
    exact = chi2.ppf(0.999, bins - 1) * (1 / 1000 + 1 / 4000)
    assert exact <= psi_noise(bins, 1000, 4000) <= 1.04 * exact


def test_psi_without_drift_stays_below_its_noise() -> None:
    random = np.random.default_rng(7)
    expected = shares([5, 10, 20, 30, 20, 10, 5])
    above = 0
    for _ in range(300):
        left, right = (
            random.multinomial(4000, expected) / 4000,
            random.multinomial(1000, expected) / 1000,
        )
        above += psi(left.tolist(), right.tolist()) > psi_noise(7, 1000, 4000)
    assert above <= 3


def test_the_training_rows_themselves_do_not_drift(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    train = frame.head(int(frame.height * 0.7))
    measured, result = judged(model, train, train)
    assert [column.column for column in measured] == ["depot", "pickup_hour", "load", "score"]
    assert max(column.psi for column in measured) < 1e-9
    assert max(column.effect or 0.0 for column in measured) < 1e-9
    assert result["verdict"] == "stable"


def test_a_shifted_number_and_unseen_categories_are_named(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    shifted = frame.with_columns(
        pl.col("depot_daily__load") * 0.3,
        depot=pl.when(pl.col("depot") == "west").then(pl.lit("south")).otherwise("depot"),
    )
    columns, result = judged(model, shifted, frame)
    measured = {column.column: column for column in columns}
    assert measured["load"].drifted
    assert measured["depot"].drifted
    assert measured["depot"].unseen_share == pytest.approx((frame["depot"] == "west").mean())
    assert not measured["pickup_hour"].drifted
    assert result["drifted_inputs"] == ["depot", "load"]
    assert result["verdict"] == "drifted"
    assert next(item.part for item in result["findings"]) == ""
    assert not any(item.passed for item in result["findings"])


def test_four_days_of_weather_are_no_drift_however_large_their_psi(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    """All rows of a day share its load: four days are four draws, however many rows they have."""
    random = np.random.default_rng(4)
    weather = random.choice(frame["depot_daily__load"].drop_nulls().to_numpy(), DAYS)
    day = (frame["asked_at"] - START).dt.total_days().to_numpy()
    shared = frame.with_columns(depot_daily__load=pl.Series(weather[day]))
    served, learned = shared.filter(day >= DAYS - 4), shared.filter(day < DAYS - 4)
    limits = LIMITS.model_copy(update={"minimum_rows": 100})
    in_days = limits.model_copy(update={"block": timedelta(days=1)})
    measured, result = judged(model, served, learned, in_days)
    load = next(column for column in measured if column.column == "load")
    assert load.psi > 0.25
    assert (result["verdict"], result["drifted_inputs"]) == ("stable", [])
    assert judged(model, served, learned, limits)[1]["drifted_inputs"] == ["load"]


def test_missing_values_drift(model: ScoringModel, frame: pl.DataFrame) -> None:
    holes = frame.with_columns(
        depot_daily__load=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("depot_daily__load"))
    )
    load = next(column for column in judged(model, holes, frame)[0] if column.column == "load")
    assert load.drifted
    assert load.missing_share > load.reference_missing_share + 0.3


def test_score_drift_is_reported_and_does_not_count_as_an_input(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    _, result = judged(model, frame.with_columns(pl.lit(0.99).alias("score")), frame)
    assert result["score_drifted"]
    assert result["verdict"] == "stable"
    assert result["inputs"] == 3


def test_too_few_rows_are_not_judged(model: ScoringModel, frame: pl.DataFrame) -> None:
    few = frame.head(499).with_columns(pl.col("depot_daily__load") * 0.1)
    measured, result = judged(model, few, frame)
    assert max(column.psi for column in measured) > 0.25
    assert not any(column.drifted for column in measured)
    assert (result["verdict"], result["judged"], result["drifted_share"]) == (
        "not judged",
        False,
        None,
    )


def test_a_training_set_that_is_gone_is_not_judged_and_says_why(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    measured = measure(model, scored(model, frame), LIMITS)
    result = verdict(measured, LIMITS, [], "version 3 of the snapshots is gone")
    (finding,) = result["findings"]
    assert (result["verdict"], result["judged"]) == ("not judged", True)
    assert (finding.outcome, finding.reason) == ("not judged", "version 3 of the snapshots is gone")


def test_an_input_with_a_single_bin_is_reported_as_blind(
    model: ScoringModel, frame: pl.DataFrame
) -> None:
    model.reference["inputs"]["load"].update(edges=[0.0], shares=[0.0, 0.9, 0.1])
    measured = measure(model, scored(model, frame), LIMITS)
    assert verdict(measured, LIMITS, [])["blind_inputs"] == ["load"]


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("inputs", "load"), None, "load"),
        (("inputs", "load", "shares"), [1.0], "load: 1 shares"),
        (("inputs", "depot", "categories"), ["a", "b", "c"], "depot: its categories"),
        (("inputs", "pickup_hour", "kind"), "category", "pickup_hour: its kind"),
        (("rows",), 0, "rows is 0"),
        (("score",), None, "score"),
        (("inputs", "other"), {}, "other"),
    ],
)
def test_a_reference_that_does_not_fit_is_an_error(
    model: ScoringModel, path: tuple[str, ...], value: object, named: str
) -> None:
    place = model.reference
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(RegistryError, match=named):
        checked_reference(model)


def test_an_empty_reference_is_an_error(
    model: ScoringModel, frame: pl.DataFrame, tmp_path: Path
) -> None:
    model.reference = {}
    with pytest.raises(RegistryError, match=r"reference\.json"):
        measure(model, scored(model, frame), LIMITS)
