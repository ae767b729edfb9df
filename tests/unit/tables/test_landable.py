from __future__ import annotations

from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.tables.casting import Declared, cast_frame
from include.tables.landable import landable
from include.tables.store import TableStore
from include.tables.types import TYPES

STRANGE: dict[str, pl.Series] = {
    "null": pl.Series([None]),
    "small": pl.Series([200], dtype=pl.UInt8),
    "unsigned": pl.Series([2**63 + 1], dtype=pl.UInt64),
    "huge": pl.Series([2**70], dtype=pl.Int128),
    "category": pl.Series(["a"], dtype=pl.Categorical),
    "enum": pl.Series(["a"], dtype=pl.Enum(["a"])),
    "time": pl.Series([time(1)]),
    "duration": pl.Series([timedelta(1)]),
    "list": pl.Series([[1]], dtype=pl.List(pl.UInt8)),
    "array": pl.Series([[1, 2]], dtype=pl.Array(pl.Int64, 2)),
    "struct": pl.Series([{"x": 1}]),
    "nanoseconds": pl.Series([1001]).cast(pl.Datetime("ns", "UTC")),
    "beyond": pl.Series([2**62]).cast(pl.Datetime("ms", "UTC")),
    "zoned": pl.Series([datetime(2020, 1, 1)]).dt.replace_time_zone("Europe/Berlin"),  # noqa: DTZ001
    "bytes": pl.Series([b"\0"]),
    "decimal": pl.Series(["1.25"]).cast(pl.Decimal(18, 2)),
}


def as_frame(columns: dict[str, pl.Series]) -> pl.DataFrame:
    return pl.DataFrame(dict(columns))


def test_whatever_lands_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    tables, rows = TableStore(str(tmp_path)), landable(as_frame(STRANGE))
    tables.replace_all("landing/x", rows)
    again = tables.replace_all("landing/x", rows)
    assert again.version == 0
    assert tables.read("landing/x").equals(rows)


@pytest.mark.parametrize(
    "name", [name for name in STRANGE if name not in ("null", "small", "huge")]
)
@pytest.mark.parametrize("kind", list(TYPES))
def test_what_is_refused_before_it_lands_is_refused_after_it(name: str, kind: Any) -> None:
    frame, declared = as_frame({name: STRANGE[name]}), [Declared(name, kind)]
    before, after = (cast_frame(part, declared).refusals for part in (frame, landable(frame)))
    assert [part.column for part in before] == [part.column for part in after]


def test_a_type_that_no_table_has_is_named_after_it_landed() -> None:
    frame = landable(as_frame({"time": STRANGE["time"]}))
    (refusal,) = cast_frame(frame, [Declared("time", "string")]).refusals
    assert "the column came as Time" in refusal.observed


def test_names_that_differ_only_in_case_land_side_by_side(tmp_path: Path) -> None:
    rows = landable(pl.DataFrame({"Month": [1], "month": [2], "MONTH": [3]}))
    TableStore(str(tmp_path)).replace_all("landing/x", rows)
    assert rows.columns == ["Month", "month (2)", "MONTH (3)"]
