from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl

from include.quality.statistics import describe


def test_each_kind_of_column_is_described_in_plain_json():
    frame = pl.DataFrame(
        {
            "n": [1.0, 3.0, None],
            "s": ["a", "a", None],
            "t": [datetime(2013, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
        }
    )
    facts = describe(frame)
    assert facts["n"] == {
        "type": "Float64",
        "nulls": 1,
        "distinct": 3,
        "minimum": 1.0,
        "maximum": 3.0,
        "mean": 2.0,
    }
    assert facts["s"] == {"type": "String", "nulls": 1, "distinct": 2}
    assert facts["t"]["minimum"] == "2013-01-01 00:00:00+00:00"
    assert json.loads(json.dumps(facts)) == facts


def test_an_empty_column_has_no_extremes():
    assert describe(pl.DataFrame({"n": []}, schema={"n": pl.Int64}))["n"]["minimum"] is None
