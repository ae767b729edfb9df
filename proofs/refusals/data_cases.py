"""Deliveries with one fault each, put into real rows; the features DAG has to stop them.

And two faults that only the training can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from include.interval import Interval
from include.use_cases.flight_delays.data import read_source
from proofs.harness.damage.rows import (
    Damage,
    columns,
    earlier_rows,
    early_arrivals,
    flights_again,
    flipped,
    flipped_with_delay,
    in_part,
    labels_before_departure,
    nothing,
    of,
    under_other_ids,
    without_carrier,
)
from proofs.refusals.case import Case
from proofs.refusals.verdict import Outcome
from proofs.refusals.world import FEBRUARY, MARCH, World

VALIDATION = "validate_data"
FLIGHTS, ARRIVALS, WEATHER = "raw/flights", "raw/arrivals", "raw/weather"
NO_NUMBER = pl.lit(None, pl.Float64)
# A training until April learns from the rows before the fourth of March and is tested on those
# from the 18th on. Seven minutes off, a flight is not the one that leaves there every day.
TESTED = Interval(datetime(2013, 3, 19, tzinfo=UTC), datetime(2013, 3, 21, tzinfo=UTC))
BACK = timedelta(days=18, minutes=-7)


@dataclass(frozen=True)
class BadDelivery:
    """One bad delivery: what is done to the real rows, and the rule (of that table and column) that
    must refuse it.
    """

    name: str
    table: str
    column: str
    rule: str
    damage: Damage

    @property
    def case(self) -> Case:
        """Its row of the table."""
        return Case(self.name, (f"{VALIDATION}: {self.rule}",), self._act, champion=False)

    def _act(self, world: World) -> Outcome:
        world.deliver(self.damage)
        return world.features()


def _leaked_label(world: World) -> Outcome:
    """The aircraft is filled in after the landing: a large one for every late flight of March, a
    small one for the others.
    """
    late = read_source(MARCH, world.settings.sample_share)[ARRIVALS].filter(pl.col("late") == 1)[
        "flight_id"
    ]
    known = read_source(FEBRUARY, world.settings.sample_share)
    planes = (
        known["raw/planes"]
        .join(known[FLIGHTS], on="tailnum", how="semi")
        .sort("seats", "tailnum")["tailnum"]
    )
    leaked = (
        pl.when(pl.col("flight_id").is_in(late.to_list()))
        .then(pl.lit(planes[-1]))
        .otherwise(pl.lit(planes[0]))
    )
    world.deliver(columns(FLIGHTS, leaked.alias("tailnum")))
    world.overlay({"training": {"window_days": 31}})
    delivered = world.features()
    return world.train() if delivered.seen == "passed" else delivered


def _copied_test_rows(world: World) -> Outcome:
    """Two days of flights that a training until April is tested on are there again among the rows
    that it learns from, under other ids: consistent rows, which no rule on deliveries refuses.
    """
    world.deliver(flights_again(TESTED, BACK))
    delivered = world.features()
    return world.train() if delivered.seen == "passed" else delivered


DELIVERIES = (
    BadDelivery(
        "renamed column",
        FLIGHTS,
        "",
        "columns",
        of(FLIGHTS, lambda frame: frame.rename({"carrier": "airline"})),
    ),
    BadDelivery(
        "missing column", WEATHER, "", "columns", of(WEATHER, lambda frame: frame.drop("humidity"))
    ),
    BadDelivery(
        "retyped column",
        FLIGHTS,
        "distance",
        "type",
        columns(FLIGHTS, pl.format("{} mi", pl.col("distance")).alias("distance")),
    ),
    BadDelivery(
        "fractions in whole numbers",
        FLIGHTS,
        "flight_number",
        "type",
        columns(FLIGHTS, (pl.col("flight_number") + 0.7).alias("flight_number")),
    ),
    BadDelivery(
        "times without a zone",
        FLIGHTS,
        "scheduled_departure",
        "type",
        columns(FLIGHTS, pl.col("scheduled_departure").dt.replace_time_zone(None)),
    ),
    BadDelivery(
        "all-null column",
        WEATHER,
        "temperature",
        "nulls",
        columns(WEATHER, NO_NUMBER.alias("temperature")),
    ),
    BadDelivery(
        "60 % null column",
        WEATHER,
        "pressure",
        "null share",
        columns(WEATHER, in_part("pressure", 0.6, NO_NUMBER)),
    ),
    BadDelivery("empty window", FLIGHTS, "", "row count", nothing),
    BadDelivery(
        "duplicated delivery",
        FLIGHTS,
        "flight_id",
        "unique key",
        of(FLIGHTS, lambda frame: pl.concat([frame, frame])),
    ),
    BadDelivery(
        "old delivery under a new date", FLIGHTS, "flight_id", "duplicate delivery", earlier_rows
    ),
    BadDelivery(
        "unseen category flood",
        FLIGHTS,
        "dest",
        "unseen values",
        columns(FLIGHTS, in_part("dest", 0.3, pl.format("X{}", pl.int_range(pl.len()) % 40))),
    ),
    BadDelivery(
        "-999 sentinels",
        WEATHER,
        "temperature",
        "range",
        columns(WEATHER, in_part("temperature", 0.02, pl.lit(-999.0))),
    ),
    BadDelivery(
        "shifted distribution",
        WEATHER,
        "humidity",
        "distribution (PSI)",
        columns(WEATHER, (pl.col("humidity") / 100).alias("humidity")),
    ),
    BadDelivery(
        "10 % flipped labels in one slice",
        ARRIVALS,
        "",
        "row rule",
        columns(ARRIVALS, flipped("JFK")),
    ),
    BadDelivery(
        "10 % flipped labels and delays in one slice",
        ARRIVALS,
        "",
        "row rule",
        columns(ARRIVALS, *flipped_with_delay("JFK")),
    ),
    BadDelivery(
        "arrivals before their departure", ARRIVALS, "", "cross-table rule", early_arrivals
    ),
    BadDelivery(
        "labels known before the departure",
        ARRIVALS,
        "known_at",
        "label after event",
        labels_before_departure,
    ),
    BadDelivery(
        "weather known before it is observed",
        WEATHER,
        "",
        "known before it happened",
        columns(
            WEATHER, in_part("observed_at", 0.02, pl.col("observed_at") + pl.duration(minutes=56))
        ),
    ),
    BadDelivery(
        "999 in 30 % of the rows, inside the range",
        FLIGHTS,
        "distance",
        "mass point",
        columns(FLIGHTS, in_part("distance", 0.3, pl.lit(999.0))),
    ),
    BadDelivery(
        "flights twice under different ids",
        FLIGHTS,
        "carrier+flight_number+origin+dest+scheduled_departure",
        "natural key",
        of(FLIGHTS, under_other_ids),
    ),
    BadDelivery("missing segment", FLIGHTS, "carrier", "missing segment", without_carrier("US")),
)

CASES = (
    *(bad.case for bad in DELIVERIES),
    Case("leaked label", ("validate_snapshot: label leakage",), _leaked_label),
    Case(
        "test rows copied into training",
        ("validate_snapshot: test rows in training",),
        _copied_test_rows,
        champion=False,
    ),
)
