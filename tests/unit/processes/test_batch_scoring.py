"""Scoring an interval of real flights: what is published, again and again, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.errors import DataError, DigestMismatch, EmptyWindow, NotReadyYet, RegistryError
from include.interval import Interval
from include.processes.batch_scoring import score_interval
from include.scoring import batch, champion
from include.tables.completed import is_complete
from include.tables.store import TableStore, in_window
from proofs.harness.data import land
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, HISTORY, World

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture(scope="module")
def entities(world: World) -> pl.DataFrame:
    return batch.read_entities(FLIGHTS, world.tables, FEBRUARY)


@pytest.fixture(scope="module")
def predictions(world: World) -> pl.DataFrame:
    run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    return world.tables.read(
        "flight_delays/predictions", where=in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    )


def test_every_flight_is_scored_with_the_champion(
    world: World, entities: pl.DataFrame, predictions: pl.DataFrame
) -> None:
    assert predictions.columns == batch.prediction_columns(FLIGHTS)
    assert sorted(predictions["flight_id"]) == sorted(entities["flight_id"])
    assert predictions["model_version"].unique().to_list() == [world.version]
    assert predictions["interval_start"].unique().to_list() == [FEBRUARY.start]
    _, model = champion.champion_model(world.settings, FLIGHTS)
    assert np.array_equal(model.score_frame(predictions), predictions["score"].to_numpy())
    assert (
        predictions["decision"] == (predictions["score"] >= model.metadata.decision_threshold)
    ).all()
    assert is_complete(world.tables, "flight_delays", "batch_scoring", FEBRUARY)


def test_scoring_again_leaves_the_same_version(world: World, predictions: pl.DataFrame) -> None:
    first = run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    marked = (
        world.tables.read("flight_delays/intervals")
        .filter(pl.col("process") == "batch_scoring")
        .height
    )
    second = run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    assert first == second
    assert second["table"]["version"] == world.tables.version("flight_delays/predictions")
    assert (second["rows"], second["version"], second["digest"]) == (
        predictions.height,
        world.version,
        world.digest,
    )
    assert (
        world.tables.read("flight_delays/intervals")
        .filter(pl.col("process") == "batch_scoring")
        .height
        == marked
    )


def test_small_chunks_give_the_same_rows(
    world: World, entities: pl.DataFrame, predictions: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHUNK_ROWS", 500)
    registered, model = champion.champion_model(world.settings, FLIGHTS)
    again = batch.score_entities(
        FLIGHTS, world.settings, model, registered.version, entities, FEBRUARY
    )
    assert again.sort("flight_id").equals(predictions.drop(batch.LINEAGE_COLUMNS).sort("flight_id"))


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (pl.all().head(10), "10 predictions for"),
        (pl.col("score") + 1.0, "scores are not probabilities"),
        (pl.lit(float("nan")).alias("score"), "scores are not probabilities"),
        (pl.lit(None, dtype=pl.Float64).alias("score"), "nulls in score"),
        (pl.lit(None, dtype=pl.Boolean).alias("decision"), "nulls in decision"),
        (pl.col("flight_id").first(), "comes more than once"),
        (pl.col("flight_id") + "x", "not asked about"),
    ],
)
def test_unsound_output_is_refused(
    entities: pl.DataFrame, predictions: pl.DataFrame, broken: pl.Expr, named: str
) -> None:
    changed = (
        predictions.select(broken) if named.startswith("10 ") else predictions.with_columns(broken)
    )
    with pytest.raises(DataError, match=named):
        batch.check_predictions(FLIGHTS, entities, changed)


def test_unsound_output_leaves_the_table_untouched(
    world: World, predictions: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = champion.champion_model(world.settings, FLIGHTS)
    monkeypatch.setattr(
        type(model), "score_matrix", lambda self, matrix: np.full(matrix.shape[0], 1.5)
    )
    with pytest.raises(DataError, match="not published"):
        run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    window = in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    assert (
        world.tables.read("flight_delays/predictions", where=window)
        .sort("flight_id")
        .equals(predictions.sort("flight_id"))
    )


def test_features_must_be_complete(world: World) -> None:
    march = Interval(HISTORY.end, HISTORY.end + timedelta(days=31))
    with pytest.raises(NotReadyYet, match="flight_delays__features"):
        run_step(score_interval, world.context(march, "batch_scoring"))


def test_an_interval_without_flights_is_named(world: World) -> None:
    night = Interval(FEBRUARY.start.replace(hour=3), FEBRUARY.start.replace(hour=4))
    with pytest.raises(EmptyWindow, match="nothing to score"):
        run_step(score_interval, world.context(night, "batch_scoring"))


def test_an_id_that_comes_twice_is_refused(world: World, tmp_path: Path) -> None:
    tables = TableStore(str(tmp_path))
    rows = world.tables.read(
        "raw/flights", where=in_window("asked_at", FEBRUARY.start, FEBRUARY.end)
    ).head(3)
    tables.replace_all("raw/flights", pl.concat([rows, rows.head(1)]))
    with pytest.raises(DataError, match=rows["flight_id"][0]):
        batch.read_entities(FLIGHTS, tables, FEBRUARY)


def test_without_a_champion_the_error_says_what_to_run(tmp_path: Path, world: World) -> None:
    settings = home_settings(tmp_path, 0.01)
    land(settings, HISTORY)
    with pytest.raises(RegistryError, match=r"flight_delays__training.*flight_delays__deployment"):
        run_step(
            score_interval, replace(world.context(FEBRUARY, "batch_scoring"), settings=settings)
        )


def test_a_changed_copy_of_the_champion_is_refused(world: World, predictions: pl.DataFrame) -> None:
    path = (
        world.settings.home
        / "work"
        / "champions"
        / "flight_delays"
        / str(world.version)
        / "golden.json"
    )
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    try:
        with pytest.raises(DigestMismatch, match="golden"):
            run_step(score_interval, world.context(FEBRUARY, "batch_scoring"))
    finally:
        path.write_bytes(content)
