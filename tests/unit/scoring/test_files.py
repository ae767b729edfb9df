"""Scoring a Parquet file: the scores of the package, complete or not at all, whatever the size of a
chunk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.errors import DataError
from include.features.retrieval import point_in_time
from include.scoring.batch import read_entities
from include.scoring.champion import champion_model
from include.scoring.files import score_file
from tests.unit.scoring.world import FEBRUARY, FLIGHTS, World

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]


@pytest.fixture
def rows(world: World) -> pl.DataFrame:
    return point_in_time(FLIGHTS, read_entities(FLIGHTS, world.tables, FEBRUARY), world.settings)


def test_a_file_gets_the_scores_of_the_package(
    world: World, rows: pl.DataFrame, tmp_path: Path
) -> None:
    _, model = champion_model(world.settings, FLIGHTS)
    strange = rows.with_columns(
        pl.when(pl.int_range(pl.len()) < 3)
        .then(pl.lit("never seen"))
        .otherwise("carrier")
        .alias("carrier")
    )
    strange.write_parquet(tmp_path / "rows.parquet", row_group_size=1000)
    found = {}
    for chunk_rows in (97, 100_000):
        target = tmp_path / f"{chunk_rows}.parquet"
        result = score_file(
            FLIGHTS, model, 7, tmp_path / "rows.parquet", target, FEBRUARY, chunk_rows=chunk_rows
        )
        assert (result["rows"], result["unseen"]["carrier"]) == (rows.height, 3)
        found[chunk_rows] = pl.read_parquet(target)
    assert found[97].equals(found[100_000])
    assert np.array_equal(found[97]["score"].to_numpy(), model.score_frame(strange))
    assert found[97]["flight_id"].equals(rows["flight_id"])
    assert found[97].select("model_version", "model_digest").unique().row(0) == (7, world.digest)


def test_a_file_that_cannot_be_scored_leaves_no_predictions(
    world: World, rows: pl.DataFrame, tmp_path: Path
) -> None:
    _, model = champion_model(world.settings, FLIGHTS)
    source, target = tmp_path / "rows.parquet", tmp_path / "scored.parquet"
    cases = (
        (rows.drop("carrier"), FLIGHTS, "lacks the columns"),
        (
            rows.with_columns(pl.lit(None, dtype=pl.String).alias("flight_id")),
            FLIGHTS,
            "nulls in flight_id",
        ),
        (
            rows.with_columns(
                pl.when(pl.int_range(pl.len()) == 600)
                .then(1e39)
                .otherwise("weather_hourly__temperature")
                .alias("weather_hourly__temperature")
            ),
            FLIGHTS,
            r"'weather_hourly__temperature' must hold number.*1e\+39 in row 600\. A model reads",
        ),
        (
            rows.with_columns(pl.col("scheduled_departure").dt.replace_time_zone(None)),
            FLIGHTS,
            "'scheduled_departure' must hold timestamp.*Deliver timestamps with a time zone",
        ),
        (
            rows,
            FLIGHTS.model_copy(
                update={"batch": FLIGHTS.batch.model_copy(update={"max_score_psi": 0.01})}
            ),
            "allowed are 0.01",
        ),
    )
    for frame, use_case, named in cases:
        frame.write_parquet(source)
        target.write_bytes(b"what was there")
        with pytest.raises(DataError, match=named):
            score_file(use_case, model, 1, source, target, FEBRUARY, chunk_rows=500)
        assert target.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "scored.parquet"]
