"""Deliveries of March with one fault each, put into real rows; the features DAG has to stop them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from cli.refusals.case import Case
from cli.refusals.verdict import Outcome
from cli.refusals.world import FEBRUARY, MARCH, Change, World

VALIDATION = "validate_data"


def _delivery(changes: Mapping[str, Change]) -> Callable[[World], Outcome]:
    def act(world: World) -> Outcome:
        world.deliver(changes)
        return world.features()

    return act


def _set(column: str, value: pl.Expr, share: float = 1.0) -> Change:
    """The column becomes `value` in this share of the rows, evenly spread."""

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        chosen = (pl.int_range(pl.len()) * share).floor() != ((pl.int_range(pl.len()) + 1) * share).floor()
        return frame.with_columns(pl.when(chosen).then(value).otherwise(pl.col(column)).alias(column))

    return change


def _leaked_label(world: World) -> Outcome:
    """The aircraft is filled in after the landing: a large one for every late flight of March, a small one for the others."""
    from include.use_cases.flight_delays.data import read_source

    late = read_source(MARCH, world.settings.sample_share)["raw/arrivals"].filter(pl.col("late") == 1)["flight_id"]
    known = read_source(FEBRUARY, world.settings.sample_share)
    planes = known["raw/planes"].join(known["raw/flights"], on="tailnum", how="semi").sort("seats", "tailnum")["tailnum"]
    told = pl.when(pl.col("flight_id").is_in(late.to_list())).then(pl.lit(planes[-1])).otherwise(pl.lit(planes[0]))
    world.deliver({"raw/flights": lambda frame: frame.with_columns(told.alias("tailnum"))})
    world.overlay({"training": {"window_days": 31}})
    return _then_train(world)


def _then_train(world: World) -> Outcome:
    """Where the delivery is let through, the training has to stop."""
    delivered = world.features()
    return world.train() if delivered.seen == "passed" else delivered


CASES = (
    Case(
        "renamed column",
        (f"{VALIDATION}: columns",),
        _delivery({"raw/flights": lambda frame: frame.rename({"carrier": "airline"})}),
    ),
    Case("missing column", (f"{VALIDATION}: columns",), _delivery({"raw/weather": lambda frame: frame.drop("humidity")})),
    Case(
        "retyped column",
        (f"{VALIDATION}: type",),
        _delivery({"raw/flights": lambda frame: frame.with_columns(pl.col("flight_number").cast(pl.String))}),
    ),
    Case("all-null column", (f"{VALIDATION}: nulls",), _delivery({"raw/weather": _set("temperature", pl.lit(None, pl.Float64))})),
    Case("60 % null column", (f"{VALIDATION}: nulls",), _delivery({"raw/weather": _set("temperature", pl.lit(None, pl.Float64), 0.6)})),
    Case("empty window", (f"{VALIDATION}: row count",), _delivery({"raw/flights": lambda frame: frame.clear()})),
    Case("duplicated delivery", (f"{VALIDATION}: unique key",), _delivery({"raw/flights": lambda frame: pl.concat([frame, frame])})),
    Case("unseen category flood", (f"{VALIDATION}: unseen values",), _delivery({"raw/flights": _set("carrier", pl.lit("ZZ"), 0.4)})),
    Case("-999 sentinels", (f"{VALIDATION}: range",), _delivery({"raw/weather": _set("temperature", pl.lit(-999.0), 0.05)})),
    Case(
        "shifted distribution",
        (f"{VALIDATION}: distribution (PSI)", f"{VALIDATION}: distribution (shift)"),
        _delivery({"raw/weather": lambda frame: frame.with_columns(pl.min_horizontal(pl.col("temperature") + 45, 120))}),
    ),
    Case("leaked label", ("validate_snapshot: label leakage",), _leaked_label),
)
