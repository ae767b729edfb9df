"""Nothing that was not yet known when the training's window ended, and everything that was: on real
flights.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from include.data_sets.snapshot import build, read
from include.features.retrieval import point_in_time
from include.interval import Interval
from include.processes.features import CREATED, compute_features
from include.settings import Settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from tests.step_runs import run_step
from tests.unit.features.world import MONTHS, context_of, copy_of, shared

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]

JANUARY, FEBRUARY, MARCH = MONTHS[:3]
WINDOW = Interval(JANUARY, MARCH)
FLIGHTS = USE_CASE.model_copy(
    update={"training": USE_CASE.training.model_copy(update={"window_days": 59})}
)
STAMP = datetime(2013, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The module's: what changes a table other than the training set takes `changing`."""
    months = shared(tmp_path_factory.getbasetemp() / "two_months_of_a_tenth", 2, 0.1)
    return copy_of(months, tmp_path_factory.mktemp("known-at"))


@pytest.fixture
def changing(world: Settings, tmp_path: Path) -> Settings:
    return copy_of(world, tmp_path)


def training_set(settings: Settings) -> pl.DataFrame:
    return read(FLIGHTS, settings, build(FLIGHTS, settings, WINDOW)[0])


def correct(settings: Settings, created: datetime, value: float = -77.0) -> None:
    """A second row for one hour, with a value that cannot be missed, computed at `created`."""
    tables = TableStore(settings.tables_uri)
    row = tables.read(
        "features/weather_hourly",
        where=(pl.col("origin") == "EWR") & (pl.col("event_timestamp") == STAMP),
    ).head(1)
    changed = row.with_columns(
        pl.lit(value).alias("temperature"), pl.lit(created).cast(row.schema[CREATED]).alias(CREATED)
    )
    write_deltalake(tables.uri("features/weather_hourly"), changed.to_arrow(), mode="append")


def test_labels_that_came_after_their_own_interval_are_picked_up(world: Settings):
    rows = training_set(world)
    late = rows.filter((pl.col("asked_at") < FEBRUARY) & (pl.col("known_at") >= FEBRUARY))
    assert late.height > 5, "flights of 31 January that landed in February"
    delivered = TableStore(world.tables_uri).read(
        "raw/arrivals", where=pl.col("known_at") >= FEBRUARY
    )
    assert set(late["flight_id"]) <= set(delivered["flight_id"])


def test_labels_that_the_window_did_not_know_yet_are_left_out(world: Settings):
    assert training_set(world)["known_at"].max() < MARCH


def test_a_feature_row_created_after_the_window_is_not_seen_whatever_its_stamp(changing: Settings):
    before = training_set(changing)
    correct(changing, MARCH + timedelta(microseconds=1))
    assert training_set(changing).equals(before)
    asked = before.select("asked_at", "carrier", "origin", "dest").with_columns(
        tailnum=pl.lit(None, pl.String)
    )
    assert (
        point_in_time(USE_CASE, asked, changing)["weather_hourly__temperature"] == -77.0
    ).any(), "without a cut-off it is seen"


def test_of_two_rows_with_one_stamp_the_newest_that_was_known_counts(changing: Settings):
    correct(changing, MARCH)
    assert (training_set(changing)["weather_hourly__temperature"] == -77.0).any()


@pytest.mark.parametrize("days", [(1, 2, 0), (0, 1, 2), (2, 1, 0)], ids=str)
def test_the_newest_created_counts_in_whatever_order_they_were_written(
    changing: Settings, days: tuple[int, ...]
):
    for day in days:
        correct(changing, MARCH - timedelta(days=day), -80.0 - day)
    read = set(training_set(changing)["weather_hourly__temperature"])
    assert -80.0 in read
    assert not read & {-81.0, -82.0}


def test_every_feature_row_says_which_interval_created_it(world: Settings):
    tables = TableStore(world.tables_uri)
    rows = tables.read("features/carrier_daily")
    assert rows.filter(pl.col("event_timestamp") <= FEBRUARY)[CREATED].unique().to_list() == [
        FEBRUARY
    ]
    assert rows.filter(pl.col("event_timestamp") > FEBRUARY)[CREATED].unique().to_list() == [MARCH]


def test_a_static_row_keeps_its_first_creation_and_a_changed_one_is_new(changing: Settings):
    tables = TableStore(changing.tables_uri)
    assert tables.read("features/plane")[CREATED].unique().to_list() == [FEBRUARY]
    planes = tables.read("raw/planes")
    tables.replace_all(
        "raw/planes",
        planes.with_columns(
            pl.when(pl.col("tailnum") == "N14228").then(99.0).otherwise("seats").alias("seats")
        ),
    )
    run_step(compute_features, context_of(changing, FEBRUARY, MARCH))
    rows = tables.read("features/plane")
    assert rows.filter(pl.col("tailnum") == "N14228")[CREATED].item() == MARCH
    assert rows.filter(pl.col("tailnum") != "N14228")[CREATED].unique().to_list() == [FEBRUARY]
