from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from include.errors import DataError
from include.features.retrieval import point_in_time
from include.features.store import open_store
from include.settings import Settings
from include.tables.store import TIMESTAMP, TableStore
from include.use_cases.flight_delays.spec import USE_CASE

pytestmark = [
    pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning"),
    pytest.mark.slow,
]
ENTITY = ["flight_id", "asked_at", "carrier", "origin", "dest", "tailnum"]
COLUMNS = [reference.replace(":", "__") for reference in USE_CASE.feature_references]


def flights(settings: Settings) -> pl.DataFrame:
    return TableStore(settings.tables_uri).read("raw/flights", columns=ENTITY)


def question(moment: datetime, **keys: str | None) -> pl.DataFrame:
    row = {
        "asked_at": moment,
        "carrier": "UA",
        "origin": "EWR",
        "dest": "IAH",
        "tailnum": "N14228",
    } | keys
    return pl.DataFrame(
        [row], schema={"asked_at": TIMESTAMP, **dict.fromkeys(ENTITY[2:], pl.String)}
    )


def test_equals_feasts_own_retrieval_cell_for_cell(two_months: Settings, tmp_path: Path):
    asked = flights(two_months).sample(3000, seed=7)
    ours = point_in_time(USE_CASE, asked, two_months)
    theirs = feast_retrieval(two_months, asked, tmp_path)
    for name in COLUMNS:
        left, right = ours[name].cast(pl.Float64), theirs[name].cast(pl.Float64).fill_nan(None)
        assert left.eq_missing(right).all(), name
    assert ours["weather_hourly__pressure"].null_count() > 0
    assert ours["carrier_daily__late_rate_7d"].null_count() < 0.1 * asked.height


def feast_retrieval(settings: Settings, asked: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Feast's `get_historical_features` on its DuckDB store, with our definitions over Parquet
    copies of the tables.

    Copies, because Feast's DuckDB store reads Delta through a DuckDB extension that it downloads.
    """
    from feast import FeatureStore, FeatureView, FileSource, RepoConfig

    ours = open_store(settings)
    config = RepoConfig(
        project="copy",
        provider="local",
        registry={"registry_type": "sql", "path": f"sqlite:///{folder}/registry.db"},
        online_store={"type": "sqlite", "path": f"{folder}/online.db"},
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
    )
    entities = {entity.name: entity for entity in ours.list_entities()}
    views = []
    for part in USE_CASE.feature_tables:
        view, path = ours.get_feature_view(part.view), f"{folder}/{part.view}.parquet"
        TableStore(settings.tables_uri).read(part.table).write_parquet(path)
        source = FileSource(
            name=f"{view.name}_copy", path=path, timestamp_field=view.batch_source.timestamp_field
        )
        joined = [entities[name] for name in view.entities]
        views.append(
            FeatureView(
                name=view.name, entities=joined, ttl=view.ttl, schema=view.schema, source=source
            )
        )
    copy = FeatureStore(config=config)
    copy.apply([*entities.values(), *views])
    rows = asked.rename({"asked_at": "event_timestamp"}).to_pandas()
    job = copy.get_historical_features(
        entity_df=rows, features=list(USE_CASE.feature_references), full_feature_names=True
    )
    return asked.select("flight_id").join(
        pl.from_pandas(job.to_df()), on="flight_id", how="left", maintain_order="left"
    )


def test_keeps_rows_columns_and_order(two_months: Settings):
    asked = flights(two_months).sample(200, seed=3, shuffle=True)
    answer = point_in_time(USE_CASE, asked, two_months)
    assert answer.columns == ENTITY + COLUMNS
    assert answer.select(ENTITY).equals(asked)


def test_a_value_is_known_from_its_stamp_on_and_not_before(two_months: Settings):
    stamp = datetime(2013, 2, 5, 12, tzinfo=UTC)
    rows = TableStore(two_months.tables_uri).read(
        "features/weather_hourly", where=pl.col("origin") == "EWR"
    )
    at, before = (
        rows.filter(pl.col("event_timestamp") == moment)["humidity"].item()
        for moment in (stamp, stamp - timedelta(hours=1))
    )
    assert at != before
    assert (
        point_in_time(USE_CASE, question(stamp), two_months)["weather_hourly__humidity"].item()
        == at
    )
    just_before = question(stamp - timedelta(microseconds=1))
    assert (
        point_in_time(USE_CASE, just_before, two_months)["weather_hourly__humidity"].item()
        == before
    )


def test_the_ttl_is_inclusive_and_enforced(two_months: Settings):
    last = datetime(2013, 3, 1, tzinfo=UTC)  # the newest stamp of every view
    fresh = point_in_time(USE_CASE, question(last + timedelta(hours=6)), two_months)
    assert fresh["origin_hourly__late_rate_24h"].item() is not None
    late = point_in_time(USE_CASE, question(last + timedelta(hours=6, microseconds=1)), two_months)
    assert late["origin_hourly__late_rate_24h"].item() is None
    assert late["carrier_daily__late_rate_28d"].item() is not None
    old = point_in_time(USE_CASE, question(last + timedelta(days=300)), two_months)
    assert old["carrier_daily__late_rate_28d"].item() is None
    assert old["plane__seats"].item() == 149.0


def test_unknown_and_null_keys_give_nulls(two_months: Settings):
    moment = datetime(2013, 2, 5, 12, 10, tzinfo=UTC)
    both = pl.concat(
        [question(moment, tailnum=None), question(moment, tailnum="NOSUCH"), question(moment)]
    )
    assert point_in_time(USE_CASE, both, two_months)["plane__seats"].to_list() == [
        None,
        None,
        149.0,
    ]


def test_no_rows_give_no_rows(two_months: Settings):
    assert (
        point_in_time(USE_CASE, flights(two_months).head(0), two_months).columns == ENTITY + COLUMNS
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda frame: frame.drop("tailnum"), r"lack the columns \['tailnum'\]"),
        (
            lambda frame: frame.with_columns(pl.col("asked_at").dt.replace_time_zone(None)),
            "with a time zone",
        ),
        (lambda frame: frame.with_columns(asked_at=pl.lit(None, TIMESTAMP)), "is null in 1 rows"),
        (lambda frame: frame.with_columns(plane__seats=1.0), "already hold"),
    ],
)
def test_wrong_entity_rows_are_refused(two_months: Settings, spoil, said):
    with pytest.raises(DataError, match=said):
        point_in_time(USE_CASE, spoil(question(datetime(2013, 2, 5, tzinfo=UTC))), two_months)
