"""What training reads and what the endpoint reads are the same numbers, on real flights at several
instants.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from include.features.online.store import OnlineFeatures, materialise
from include.features.retrieval import point_in_time
from include.features.transform import FeatureTransform
from include.processes.features import materialise_online
from include.settings import Settings
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from tests.unit.features.world import build, context_of

ENTITY = ["flight_id", "asked_at", "carrier", "origin", "dest", "tailnum", "scheduled_departure"]
# The first after midnight and at a month's end, the snow of 8 February, ordinary hours, and the
# last stamp there is.
INSTANTS = [
    datetime(2013, 1, 4, 11, tzinfo=UTC),
    datetime(2013, 1, 20, 12, tzinfo=UTC),
    datetime(2013, 2, 1, tzinfo=UTC),
    datetime(2013, 2, 9, 10, tzinfo=UTC),
    datetime(2013, 2, 9, 17, tzinfo=UTC),
    datetime(2013, 2, 10, tzinfo=UTC),
    datetime(2013, 2, 12, 9, tzinfo=UTC),
    datetime(2013, 2, 20, 16, tzinfo=UTC),
    datetime(2013, 2, 25, 18, tzinfo=UTC),
    datetime(2013, 2, 28, 11, tzinfo=UTC),
    datetime(2013, 2, 28, 15, tzinfo=UTC),
    datetime(2013, 2, 28, 19, tzinfo=UTC),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = build(tmp_path_factory.mktemp("parity"), months=2)
    materialise_online(
        context_of(settings, datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))
    )
    return settings


@pytest.fixture(scope="module")
def pairs(settings: Settings) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The features of the flights asked about within the hour after each instant: point in time,
    and looked up then.
    """
    online = OnlineFeatures(USE_CASE, settings)
    flights = TableStore(settings.tables_uri).read("raw/flights", columns=ENTITY)
    asked, looked_up = [], []
    for instant in INSTANTS:
        materialise(USE_CASE, settings, instant)
        rows = flights.filter(
            pl.col("asked_at") >= instant, pl.col("asked_at") < instant + timedelta(hours=1)
        )
        answer = online.lookup(
            rows.select(USE_CASE.serving.entity_keys).to_dicts(), rows["asked_at"].to_list()
        )
        types = {
            name: pl.Int64 if name.endswith("arrivals_28d") else pl.Float64
            for name in answer.columns
        }
        asked.append(rows)
        looked_up.append(rows.hstack(pl.DataFrame(answer.columns, schema=types)))
    entities = pl.concat(asked)
    return point_in_time(USE_CASE, entities, settings), pl.concat(looked_up)


def test_enough_flights_are_compared(pairs: tuple[pl.DataFrame, pl.DataFrame]):
    assert pairs[0]["flight_id"].n_unique() == pairs[0].height >= 500


def test_every_cell_is_equal_and_null_in_the_same_places(pairs: tuple[pl.DataFrame, pl.DataFrame]):
    offline, online = pairs
    nulls = 0
    for name in (reference.replace(":", "__") for reference in USE_CASE.feature_references):
        assert offline[name].is_null().equals(online[name].is_null()), name
        difference = (offline[name] - online[name]).abs().max()
        assert difference is None or difference <= 1e-9, name
        nulls += offline[name].null_count()
    assert 0 < nulls < 0.3 * offline.height * len(USE_CASE.feature_references)


def test_the_models_matrix_is_the_same(pairs: tuple[pl.DataFrame, pl.DataFrame]):
    offline, online = pairs
    transform = FeatureTransform.fit(USE_CASE, offline)
    assert transform.apply_frame(offline).tobytes() == transform.apply_frame(online).tobytes()


def test_a_later_instant_is_noticed(settings: Settings, pairs: tuple[pl.DataFrame, pl.DataFrame]):
    """The comparison can fail: without bringing the store forward, values differ."""
    flights = TableStore(settings.tables_uri).read("raw/flights", columns=ENTITY)
    later = flights.filter(
        pl.col("asked_at") >= datetime(2013, 2, 28, 21, 1, tzinfo=UTC),
        pl.col("asked_at") < datetime(2013, 2, 28, 22, tzinfo=UTC),
    )
    answer = OnlineFeatures(USE_CASE, settings).lookup(
        later.select(USE_CASE.serving.entity_keys).to_dicts(), later["asked_at"].to_list()
    )
    truth = point_in_time(USE_CASE, later, settings)
    assert (
        answer.columns["origin_hourly__late_rate_6h"]
        != truth["origin_hourly__late_rate_6h"].to_list()
    )
