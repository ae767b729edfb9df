"""Every rule of data is needed: what it alone refuses gets through once the rule is off.

Deliveries are real rows of May, training sets rows of a known world.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from include.errors import SpecError
from include.interval import Interval
from include.processes.features import ingest_source, validate_data
from include.quality.delivery_verdict import judge_delivery, judge_table
from include.quality.published import describe_table, record
from include.quality.references import Champion
from include.release.plan import plan_path
from include.steps import StepContext
from include.tables.store import TableStore
from include.use_cases.flight_delays.data import read_source
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.damage.rows import delayed, flipped, in_part, under_other_ids
from proofs.harness.home import home_settings
from proofs.refusals.without import switchable_rules, switched_off
from tests.step_runs import run_step
from tests.unit.features.world import context_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
]

SHARE = 0.15
FIRSTS = [datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 7)]
MAY = Interval(FIRSTS[4], FIRSTS[5])
Change = Callable[[pl.DataFrame], pl.DataFrame]
FLIGHTS, ARRIVALS, WEATHER = "raw/flights", "raw/arrivals", "raw/weather"


@pytest.fixture(scope="module")
def may() -> dict[str, pl.DataFrame]:
    return read_source(MAY, SHARE)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> StepContext:
    """A context of May in which January to April are published."""
    settings = home_settings(tmp_path_factory.mktemp("published"), SHARE)
    tables = TableStore(settings.tables_uri)
    for start, end in pairwise(FIRSTS[:5]):
        frames = read_source(Interval(start, end), SHARE)
        record(
            tables,
            USE_CASE,
            [
                describe_table(table, frames[table.name], Interval(start, end))
                for table in USE_CASE.tables
            ],
        )
        for table in USE_CASE.tables:
            if table.time_column:
                tables.replace_window(
                    table.name,
                    frames[table.name],
                    time_column=table.time_column,
                    start=start,
                    end=end,
                )
    return context_of(settings, MAY.start, MAY.end)


@pytest.fixture
def first(tmp_path: Path) -> StepContext:
    """A context of May in which nothing is published yet."""
    return context_of(home_settings(tmp_path, SHARE), MAY.start, MAY.end)


def put(*changed: pl.Expr) -> Change:
    return lambda frame: frame.with_columns(*changed)


def _more_late(frame: pl.DataFrame) -> pl.DataFrame:
    """Four in ten of the punctual flights are up to an hour late: many more labels, hardly another
    distribution of delays.
    """
    chosen = (pl.int_range(pl.len()) % 10 < 4) & (pl.col("late") == 0)
    return delayed(
        frame, pl.when(chosen).then(16.0 + pl.int_range(pl.len()) % 60).otherwise("arrival_delay")
    )


# By the declaration alone: no reference is needed.
DECLARED: dict[str, tuple[str, Change]] = {
    "row count": (WEATHER, lambda frame: frame.head(3)),
    "columns": (WEATHER, lambda frame: frame.drop("humidity")),
    "type": (FLIGHTS, put(pl.col("flight_number").cast(pl.String))),
    "nulls": (WEATHER, put(pl.lit(None, pl.Float64).alias("temperature"))),
    "range": (WEATHER, put(in_part("temperature", 0.02, pl.lit(150.0)))),
    "categories": (FLIGHTS, put(in_part("origin", 0.01, pl.lit("XXX")))),
    "unique key": (FLIGHTS, lambda frame: pl.concat([frame, frame.head(1)])),
    "window": (FLIGHTS, put(in_part("asked_at", 0.01, pl.col("asked_at") - pl.duration(days=40)))),
    "row rule": (ARRIVALS, put(flipped("JFK"))),
    "known before it happened": (
        WEATHER,
        put(in_part("observed_at", 0.02, pl.col("observed_at") + pl.duration(minutes=56))),
    ),
    "natural key": (FLIGHTS, under_other_ids),
    "sentinel": (FLIGHTS, put(in_part("tailnum", 0.02, pl.lit("N/A")))),
}
# Against what was published before.
COMPARED: dict[str, tuple[str, Change]] = {
    "volume": (FLIGHTS, lambda frame: frame.gather_every(12)),
    "null share": (WEATHER, put(in_part("pressure", 0.6, pl.lit(None, pl.Float64)))),
    "label share": (ARRIVALS, _more_late),
    "unseen values": (
        FLIGHTS,
        put(in_part("dest", 0.14, pl.format("X{}", pl.int_range(pl.len())))),
    ),
    "missing segment": (FLIGHTS, lambda frame: frame.filter(pl.col("carrier") != "US")),
    "mass point": (FLIGHTS, put(in_part("distance", 0.3, pl.lit(999.0)))),
    "distribution (PSI)": (WEATHER, put(pl.col("humidity") / 20 + 57)),
    "distribution (shift)": (
        ARRIVALS,
        lambda frame: delayed(
            frame,
            pl.when(pl.int_range(pl.len()) % 4 == 0, late=1)
            .then(1500.0)
            .otherwise("arrival_delay"),
        ),
    ),
}
OF_THE_WHOLE = {"duplicate delivery", "reference", "label after event", "cross-table rule"}


def refusals(
    context: StepContext, table: str, frame: pl.DataFrame, champion: Champion | None = None
) -> set[str]:
    judged = judge_table(
        context, TableStore(context.settings.tables_uri), USE_CASE.table(table), frame, champion
    )
    return {failure.rule for failure in judged.failures}


def test_there_is_a_case_for_every_rule_that_can_be_switched_off():
    assert {*DECLARED, *COMPARED, *OF_THE_WHOLE} == set(switchable_rules()["validate_data"])
    with (
        pytest.raises(SpecError, match="validate_data: row count"),
        switched_off(["validate_data: mood"]),
    ):
        pass


@pytest.mark.parametrize("rule", DECLARED)
def test_what_a_declared_rule_alone_refuses_gets_through_without_it(
    rule: str, first: StepContext, may: dict[str, pl.DataFrame]
):
    table, change = DECLARED[rule]
    assert refusals(first, table, change(may[table])) == {rule}
    with switched_off([f"validate_data: {rule}"]):
        assert refusals(first, table, change(may[table])) == set()


@pytest.mark.parametrize("rule", COMPARED)
def test_what_a_comparison_alone_refuses_gets_through_without_it(
    rule: str, published: StepContext, may: dict[str, pl.DataFrame]
):
    table, change = COMPARED[rule]
    assert refusals(published, table, may[table]) == set()
    assert refusals(published, table, change(may[table])) == {rule}
    with switched_off([f"validate_data: {rule}"]):
        assert refusals(published, table, change(may[table])) == set()


def test_an_old_file_under_a_new_date_gets_through_without_the_rule_on_duplicates(
    published: StepContext,
):
    april = read_source(Interval(FIRSTS[3], FIRSTS[4]), SHARE)[FLIGHTS]
    moved = april.with_columns(pl.col("asked_at", "scheduled_departure") + pl.duration(days=30))
    assert refusals(published, FLIGHTS, moved) == {"duplicate delivery"}
    with switched_off(["validate_data: duplicate delivery"]):
        assert refusals(published, FLIGHTS, moved) == set()


def test_a_champion_whose_data_left_no_statistics_gets_through_without_the_rule_on_references(
    published: StepContext, may: dict[str, pl.DataFrame]
):
    unknown = Champion(
        7, Interval(datetime(2012, 1, 1, tzinfo=UTC), datetime(2012, 4, 1, tzinfo=UTC))
    )
    assert refusals(published, FLIGHTS, may[FLIGHTS], unknown) == {"reference"}
    with switched_off(["validate_data: reference"]):
        assert refusals(published, FLIGHTS, may[FLIGHTS], unknown) == set()


def test_a_champion_that_cannot_be_read_gets_through_without_the_rule_on_references(
    first: StepContext,
):
    plan_path(first.settings, USE_CASE.name).parent.mkdir(parents=True)
    plan_path(first.settings, USE_CASE.name).write_text("{")
    landed = {"ingest_source": run_step(ingest_source, first)}
    verdict = run_step(validate_data, first, landed)
    assert {failure["rule"] for failure in verdict["failures"]} == {"reference"}
    with switched_off(["validate_data: reference"]):
        assert run_step(validate_data, first, landed)["accepted"] is True


def landed_otherwise(context: StepContext, table: str, change: Change) -> None:
    """Land the month's real rows, one table's changed."""
    name = run_step(ingest_source, context)["tables"][table]["name"]
    tables = TableStore(context.settings.tables_uri)
    tables.replace_all(name, change(tables.read(name)))


def _hours_earlier(hours: int) -> Change:
    """Every tenth arrival of all but the first day is moved, its clocks with it."""
    early = (pl.col("known_at") >= MAY.start + timedelta(days=1)) & (
        pl.int_range(pl.len()) % 10 == 0
    )
    moved = pl.when(early).then(hours).otherwise(0)
    return put(pl.col("known_at", "scheduled_arrival") - pl.duration(hours=moved))


def refused(context: StepContext) -> set[str]:
    return {failure["rule"] for failure in judge_delivery(context, {}, None)["failures"]}


def test_labels_that_came_before_their_events_get_through_without_their_rule(first: StepContext):
    landed_otherwise(first, ARRIVALS, _hours_earlier(20))
    both = ["validate_data: label after event", "validate_data: cross-table rule"]
    assert refused(first) == {"label after event", "cross-table rule"}
    with switched_off(both[1:]):
        assert refused(first) == {"label after event"}
    with switched_off(both):
        assert refused(first) == set()


def test_arrivals_with_another_flights_route_get_through_without_the_rule_across_tables(
    first: StepContext,
):
    landed_otherwise(first, ARRIVALS, put(in_part("dest", 0.05, pl.lit("ATL"))))
    assert refused(first) == {"cross-table rule"}
    with switched_off(["validate_data: cross-table rule"]):
        assert refused(first) == set()
