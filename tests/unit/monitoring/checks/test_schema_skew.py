"""Schema skew: each way in which what is served is shaped otherwise, and chance that is none."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from include.monitoring.checks.base import Window
from include.monitoring.checks.schema_skew import infer_schema, schema_skew
from tests.unit.monitoring.checks.windows import refused, window, with_column

TRAINING = pl.DataFrame(
    {
        "depot": ["east", "north", "west", "east"] * 250,
        "load": [1.0, 2.0, 3.0, None] * 250,
        "fragile": [True, False] * 500,
    }
)


def judged(served: pl.DataFrame, usual: Window | None = None) -> list[tuple[str, str]]:
    whole = usual or window()
    return refused(
        schema_skew(
            replace(
                whole,
                serving=replace(whole.serving, schema=infer_schema(served)),
                reference=replace(whole.reference, schema=infer_schema(TRAINING)),
            )
        )
    )


@pytest.mark.parametrize(
    ("served", "expected"),
    [
        (TRAINING.drop("load"), [("missing_column", "load")]),
        (TRAINING.with_columns(extra=1), [("new_column", "extra")]),
        (TRAINING.with_columns(pl.col("load").cast(pl.String)), [("retyped", "load")]),
        (TRAINING.with_columns(pl.col("fragile").cast(pl.Int64)), [("retyped", "fragile")]),
        (
            TRAINING.with_columns(load=pl.when(pl.col("load") != 2).then("load")),
            [("null_share", "load")],
        ),
        (
            TRAINING.with_columns(pl.col("depot").replace({"north": "south"})),
            [("domain", "depot")],
        ),
        (TRAINING.with_columns(pl.col("load").cast(pl.Int64)), []),
        (TRAINING.filter(pl.col("depot") != "west"), []),
    ],
    ids=["missing", "new", "text", "integer", "nulls", "domain", "narrower type", "fewer values"],
)
def test_what_differs_is_named(served, expected):
    assert judged(served) == expected


def test_the_same_rows_have_the_same_schema():
    assert judged(TRAINING) == []


@pytest.mark.parametrize(("share", "faults"), [(0.002, [("range", "input_1")]), (0.0, [])])
def test_a_sentinel_is_out_of_range(share, faults):
    usual = window()
    values = usual.serving.sample.columns["input_1"].copy()
    values[: int(share * len(values))] = -999.0
    served = with_column(usual.serving, "input_1", values)
    findings = schema_skew(replace(usual, serving=served))
    assert refused(findings) == faults
    assert not faults or "-999" in findings[0].reason


def test_a_single_strange_row_is_no_schema():
    usual = window()
    values = usual.serving.sample.columns["input_1"].copy()
    values[0] = 1e9
    assert (
        refused(schema_skew(replace(usual, serving=with_column(usual.serving, "input_1", values))))
        == []
    )


def test_heavy_tails_are_no_schema_skew():
    for seed in range(20):
        random, usual = np.random.default_rng(seed), window()
        sides = [
            with_column(side, "heavy", random.lognormal(size=side.rows))
            for side in (usual.serving, usual.reference)
        ]
        assert refused(schema_skew(replace(usual, serving=sides[0], reference=sides[1]))) == []
