"""What is refused of a delivered file before anything of it is read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import DataError
from include.quality.delivered_file import Limits, require_readable
from include.quality.published import chance_of_equal_content
from include.settings import load_settings
from include.spec import Column, Table

LIMITS = Limits(rows=1_000_000, size=100_000_000)


def delivered(folder: Path, rows: int = 10) -> Path:
    file = folder / "flight_delays" / "2013-01" / "flights.parquet"
    file.parent.mkdir(parents=True)
    pl.DataFrame({"value": range(rows)}).write_parquet(file)
    return file


def test_a_small_file_of_very_many_rows_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "flights.parquet"
    part = pa.table({"value": pa.array(np.zeros(5_000_000, dtype="i8"))})
    with pq.ParquetWriter(file, part.schema, compression="zstd") as writer:
        for _ in range(10):
            writer.write_table(part)
    assert file.stat().st_size < 1_000_000
    limits = Limits.of(load_settings({"FLIGHTDECK_HOME": str(tmp_path)}))
    require_readable(file, tmp_path, limits)  # 50 million are the most
    with pytest.raises(DataError, match=r"has 50,000,000 rows, and at most 1,000,000 are read"):
        require_readable(file, tmp_path, LIMITS)


def test_a_file_that_is_large_when_unpacked_is_refused(tmp_path: Path) -> None:
    file = delivered(tmp_path)
    with pytest.raises(DataError, match=r"bytes when unpacked, and at most 5 are read.*_BYTES"):
        require_readable(file, tmp_path, Limits(rows=100, size=5))


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_is_not_followed(tmp_path: Path, linked: str) -> None:
    file, folder = delivered(tmp_path / "elsewhere"), tmp_path / "deliveries"
    interval = folder / "flight_delays" / "2013-01"
    interval.parent.mkdir(parents=True)
    if linked == "folder":
        interval.symlink_to(file.parent)
    else:
        interval.mkdir()
        (interval / file.name).symlink_to(file)
    with pytest.raises(DataError, match="is a link"):
        require_readable(interval / file.name, folder, LIMITS)


def test_the_delivery_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    file = delivered(tmp_path / "elsewhere")
    (tmp_path / "deliveries").symlink_to(tmp_path / "elsewhere")
    folder = tmp_path / "deliveries"
    require_readable(folder / file.relative_to(tmp_path / "elsewhere"), folder, LIMITS)


def test_what_is_no_parquet_is_told_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "flights.parquet"
    file.write_text("id,value\n")
    with pytest.raises(DataError, match=r"flights\.parquet cannot be read as Parquet"):
        require_readable(file, tmp_path, LIMITS)


def test_independent_days_of_few_distinct_values_are_alike_by_chance_and_others_are_not() -> None:
    columns = (Column(name="id", type="string"), Column(name="state", type="string"))
    table = Table(name="raw/states", columns=columns, key=("id",), time_column=None)
    generator = np.random.default_rng(1)
    constant = pl.DataFrame({"id": [str(n) for n in range(60)], "state": ["on"] * 60})
    assert chance_of_equal_content(table, constant) == 1.0
    mixed = constant.with_columns(pl.Series("state", generator.choice(["on", "off"], 60)))
    assert chance_of_equal_content(table, mixed) > 0.05
    nothing_but_keys = constant.select("id")
    assert chance_of_equal_content(table, nothing_but_keys) == 1.0
    distinct = constant.with_columns(pl.Series("state", [f"s{n}" for n in range(60)]))
    assert chance_of_equal_content(table, distinct) < 1e-20


def test_of_a_panel_only_what_is_told_of_each_is_drawn() -> None:
    """Every state on every day is the same content each month, and no copy."""
    columns = (
        Column(name="id", type="string"),
        Column(name="day", type="timestamp"),
        Column(name="state", type="string"),
        Column(name="births", type="integer"),
    )
    table = Table(name="raw/births", columns=columns, key=("id",), time_column="day")
    days = [datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 31)]
    panel = pl.DataFrame(
        [
            {
                "id": f"{state} {day}",
                "day": day,
                "state": f"s{state}",
                "births": state * 9 + day.day,
            }
            for state in range(50)
            for day in days
        ]
    )
    bare = panel.drop("births")
    assert chance_of_equal_content(table, bare) < 1e-20
    assert chance_of_equal_content(table, bare, ["state"]) == 1.0
    assert chance_of_equal_content(table, bare.head(30), ["state"]) == 1.0
    assert chance_of_equal_content(table, panel, ["state"]) < 1e-20
    first_day = panel.filter(pl.col("day") == days[0])
    assert chance_of_equal_content(table, first_day.drop("births"), ["state"]) == 1.0
    assert chance_of_equal_content(table, first_day, ["state"]) < 1e-20
    # Whom rows are about comes seldom again: who it is tells something.
    scattered = bare.unique("state", keep="first").with_columns(
        pl.Series("day", [days[0] + timedelta(hours=number) for number in range(50)])
    )
    assert chance_of_equal_content(table, scattered, ["state"]) < 1e-20
