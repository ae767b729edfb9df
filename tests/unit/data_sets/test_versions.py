"""One data set under several models, and the script of its query, on a tenth of the real flights of
January and February 2013.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from include.data_sets.query_script import training_query
from include.data_sets.snapshot import Snapshot, build, read
from include.data_sets.versions import version_named, versions
from include.errors import DataError
from include.interval import Interval
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore, frame_digest
from include.use_cases.flight_delays.spec import DEPARTURES, USE_CASE
from tests.unit.features.world import MONTHS, copy_of, shared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]

WINDOW = Interval(MONTHS[0], MONTHS[2])
SHORT = USE_CASE.training.model_copy(update={"window_days": 59})
FLIGHTS = USE_CASE.model_copy(update={"training": SHORT})
GOLDEN = "flight_delays/golden"


def another_model() -> UseCase:
    """Minutes instead of late or not, from the weather and the route alone: another label, fewer
    inputs, the same data set.
    """
    inputs = tuple(
        item for item in USE_CASE.inputs if item.view in (None, "weather_hourly", "route_daily")
    )
    label = USE_CASE.label.model_copy(update={"column": "arrival_delay"})
    return FLIGHTS.model_copy(
        update={
            "name": "flight_minutes",
            "inputs": inputs,
            "label": label,
            "feature_service": "flight_minutes_v1",
        }
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Settings:
    months = shared(tmp_path_factory.getbasetemp() / "two_months_of_a_tenth", 2, 0.1)
    settings = copy_of(months, tmp_path_factory.mktemp("data-sets"))
    tables = TableStore(settings.tables_uri)
    tables.replace_all(
        GOLDEN,
        tables.read("raw/flights").filter(pl.col("asked_at") < datetime(2013, 1, 8, tzinfo=UTC)),
    )
    return settings


@pytest.fixture(scope="module")
def set_aside(world) -> pl.Series:
    return TableStore(world.tables_uri).read(GOLDEN)["flight_id"]


@pytest.fixture(scope="module")
def built(world, set_aside) -> Snapshot:
    return build(FLIGHTS, world, WINDOW, set_aside=set_aside)[0]


def test_two_models_with_one_data_set_share_one_version_that_is_built_once(world, built, set_aside):
    shared, counts = build(another_model(), world, WINDOW, set_aside=set_aside)
    assert shared == built
    (version,) = versions(TableStore(world.tables_uri), "flight_delays")
    assert (version.built_by, version.name, version.rows) == (
        "flight_delays",
        f"{built.name}@0",
        built.rows,
    )
    assert counts["set_aside"] > 100
    frame = read(another_model(), world, shared)
    assert {"late", "arrival_delay", "carrier_daily__late_rate_7d"} <= set(frame.columns)
    assert set(frame["flight_id"]).isdisjoint(set_aside)


def test_other_rows_of_a_source_or_other_rows_set_aside_make_another_version(
    world, built, set_aside, tmp_path
):
    fewer, _ = build(FLIGHTS, world, WINDOW, set_aside=set_aside.head(50))
    again, _ = build(FLIGHTS, world, WINDOW, set_aside=set_aside)
    assert (fewer.version, again) == (
        built.version + 1,
        built,
    ), "the first version is still there and is found again"
    tables = TableStore(world.tables_uri)
    weather = tables.read("features/weather_hourly")
    tables.replace_all("features/weather_hourly", weather.with_columns(pl.col("temperature") + 1.0))
    warmer, _ = build(FLIGHTS, world, WINDOW, set_aside=set_aside)
    assert warmer.sources["features/weather_hourly"] == built.sources["features/weather_hourly"] + 1
    assert warmer.digest != built.digest
    tables.replace_all("features/weather_hourly", weather)


def test_a_version_whose_files_were_lost_is_not_taken_over(world):
    first, _ = build(FLIGHTS, world, WINDOW)
    for file in (Path(world.tables_uri) / first.name).glob("*.parquet"):
        file.rename(file.with_suffix(".lost"))
    with pytest.raises(Exception, match=r"No such file|os error"):
        build(FLIGHTS, world, WINDOW)
    for file in (Path(world.tables_uri) / first.name).glob("*.lost"):
        file.rename(file.with_suffix(".parquet"))
    assert build(FLIGHTS, world, WINDOW)[0] == first


def test_a_filter_keeps_rows_out(world):
    newark = DEPARTURES.model_copy(
        update={"name": "newark", "filters": ("origin = 'EWR'", "distance > 500")}
    )
    snapshot, _ = build(FLIGHTS.model_copy(update={"data_set": newark}), world, WINDOW)
    frame = read(FLIGHTS, world, snapshot)
    flights = (
        TableStore(world.tables_uri).read("raw/flights").join(frame, on="flight_id", how="semi")
    )
    assert flights.height == frame.height > 500
    assert flights["origin"].unique().to_list() == ["EWR"]
    assert flights["distance"].min() > 500
    assert frame_digest(run_apart(script(world, newark, snapshot), world)) == snapshot.digest


def test_the_script_gives_every_cell_of_the_training_set_in_a_duckdb_that_knows_nothing(
    world, built
):
    text = script(world, DEPARTURES, built, golden=(GOLDEN, 0))
    assert "ASOF LEFT JOIN known_weather_hourly" in text
    assert "known_at < TIMESTAMPTZ '2013-03-01 00:00:00+00:00'" in text
    found = run_apart(text, world)
    expected = read(FLIGHTS, world, built)
    assert found.columns == expected.columns
    assert found.equals(expected.with_columns(pl.col(pl.Datetime).dt.convert_time_zone("UTC")))
    assert frame_digest(found) == built.digest


def test_the_script_reads_the_versions_that_were_read_and_no_newer_ones(world, built):
    text = script(world, DEPARTURES, built, golden=(GOLDEN, 0))
    tables = TableStore(world.tables_uri)
    arrivals = tables.read("raw/arrivals")
    tables.replace_all("raw/arrivals", arrivals.with_columns(late=1 - pl.col("late")))
    assert frame_digest(run_apart(text, world)) == built.digest
    tables.replace_all("raw/arrivals", arrivals)


def test_an_unknown_version_is_told_what_there_is(world, built):
    tables = TableStore(world.tables_uri)
    assert version_named(tables, f"{built.name}@{built.version}").digest == built.digest
    with pytest.raises(DataError, match=rf"there are .*{built.name}@0"):
        version_named(tables, "flights@7")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"golden": None}, "UseCase has no field 'golden'"),
        (
            {"data_set": {**DEPARTURES.model_dump(), "event_time": "asked"}},
            "'asked' is no column of the entity table 'raw/flights'; did you mean 'asked_at'?",
        ),
        ({"inputs": [{"name": "load", "source": "plane:load"}]}, "inputs names 'plane:load'"),
        (
            {"data_set": {**DEPARTURES.model_dump(), "label_columns": ["arrival_delay"]}},
            "label.column names 'late'",
        ),
        ({"data_set": {**DEPARTURES.model_dump(), "features": ["plane"]}}, "not written as"),
        ({"data_set": {**DEPARTURES.model_dump(), "name": "Flights"}}, "must match"),
    ],
)
def test_a_use_case_that_contradicts_its_data_set_is_refused(change, text):
    plain = {
        "baseline_input": None,
        "slices": [],
        "gates": USE_CASE.gates.model_copy(update={"directions": ()}).model_dump(),
    }
    gates = {**plain["gates"], "invariances": [], "forbidden_inputs": [], "fairness": []}
    with pytest.raises(ValidationError, match=text):
        UseCase.model_validate({**USE_CASE.model_dump(), **plain, "gates": gates, **change})


def script(
    world: Settings, data, snapshot: Snapshot, *, golden: tuple[str, int] | None = None
) -> str:
    use_case = FLIGHTS.model_copy(update={"data_set": data})
    name = f"{snapshot.name}@{snapshot.version}"
    return training_query(
        use_case, world, sources=snapshot.sources, window=WINDOW, name=name, golden=golden
    )


def run_apart(text: str, world: Settings) -> pl.DataFrame:
    """The script in a process that imports DuckDB alone."""
    file = world.home / "training_set.sql"
    file.write_text(text)
    parquet = str(file.with_suffix(".parquet"))
    code = f"import duckdb; duckdb.sql(open({str(file)!r}).read()).write_parquet({parquet!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")
    return pl.read_parquet(file.with_suffix(".parquet"))
