"""Deliveries of the real months of 2013, good and damaged, against what was published before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from include.interval import Interval
from include.model.signing import attach_signature, sign_package
from include.quality.delivery import Delivery
from include.quality.delivery_checks import Judgement, check_delivery, label_times
from include.quality.published import describe_table, read, record
from include.quality.references import Champion, references
from include.release.in_service import champion_in_service
from include.release.model_store import publish, set_desired
from include.release.plan import plan_path
from include.settings import Settings
from include.spec import DataChecks, UseCase
from include.tables.store import TableStore
from include.use_cases.flight_delays.data import read_source
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.damage.rows import in_part
from proofs.harness.home import home_settings
from tests.unit.model.synthetic import DAYS, START, fitted_package, parcels
from tests.unit.model.synthetic import USE_CASE as PARCELS

pytestmark = pytest.mark.slow  # measured at two seconds or more

FIRSTS = [
    *(datetime(2013, month, 1, tzinfo=UTC) for month in range(1, 13)),
    datetime(2014, 1, 1, tzinfo=UTC),
]
MONTHS = [Interval(start, end) for start, end in pairwise(FIRSTS)]
SHARE = 0.15
WINDOWED = [table for table in USE_CASE.tables if table.time_column]
QUARTER = Interval(FIRSTS[0], FIRSTS[3])


@dataclass(frozen=True)
class Year:
    """Every month's real rows, and a store in which those before each month are published."""

    tables: TableStore
    frames: list[dict[str, pl.DataFrame]]


def publish_month(tables: TableStore, frames: dict[str, pl.DataFrame], interval: Interval) -> None:
    record(
        tables,
        USE_CASE,
        [describe_table(table, frames[table.name], interval) for table in USE_CASE.tables],
    )
    for table in WINDOWED:
        column = str(table.time_column)
        tables.replace_window(
            table.name,
            frames[table.name],
            time_column=column,
            start=interval.start,
            end=interval.end,
        )


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    frames = [read_source(month, SHARE) for month in MONTHS]
    tables = TableStore(str(tmp_path_factory.mktemp("year")))
    for number in range(4):
        publish_month(tables, frames[number], MONTHS[number])
    return Year(tables, frames)


def judge(
    year: Year,
    table: str,
    frame: pl.DataFrame,
    month: int,
    champion: Champion | None = None,
    case: UseCase = USE_CASE,
) -> Judgement:
    declared = case.table(table)
    found, others, failures = references(year.tables, case, declared, MONTHS[month], champion)
    judgement = check_delivery(
        Delivery(case, declared, frame, MONTHS[month], found, others, frozenset()), year.tables
    )
    return Judgement([*failures, *judgement.failures], judgement.notes)


def broken(judgement: Judgement) -> list[tuple[str, str]]:
    return [(failure.part, failure.rule) for failure in judgement.failures]


@pytest.mark.parametrize("trained", [None, 6])
def test_no_real_month_is_refused_whatever_the_season_of_the_champion(
    year: Year, tmp_path: Path, trained: int | None
):
    here = Year(TableStore(str(tmp_path)), year.frames)
    for number, (frames, month) in enumerate(zip(year.frames, MONTHS, strict=True)):
        champion = None
        if trained is not None and number >= trained:
            champion = Champion(1, Interval(FIRSTS[trained] - timedelta(days=90), FIRSTS[trained]))
        for table in USE_CASE.tables:
            assert judge(here, table.name, frames[table.name], number, champion).failures == [], (
                month.label,
                table.name,
            )
        publish_month(here.tables, frames, month)


MAY, NOVEMBER = 4, 10
NUMBERS = [
    (table.name, column.name)
    for table in WINDOWED
    for column in table.columns
    if column.type in ("number", "integer") and column.name != USE_CASE.label.column
]


@pytest.mark.parametrize(("table", "column"), NUMBERS)
def test_a_column_in_another_unit_is_refused(year: Year, table: str, column: str):
    frame = year.frames[MAY][table].with_columns(pl.col(column) * 10)
    assert broken(judge(year, table, frame, MAY))[0][0] == column
    assert broken(judge(year, table, frame, MAY))[0][1].startswith("distribution")


def spoilt(column: str, value: pl.Expr, share: float = 1.0) -> list[pl.Expr]:
    return [in_part(column, share, value)]


DAMAGE = {
    "sentinel number": (
        "raw/flights",
        spoilt("flight_number", pl.lit(-999), 0.02),
        "flight_number",
        "sentinel",
    ),
    "sentinel text": ("raw/flights", spoilt("tailnum", pl.lit("N/A"), 0.02), "tailnum", "sentinel"),
    "nulls": (
        "raw/weather",
        spoilt("pressure", pl.lit(None, pl.Float64), 0.6),
        "pressure",
        "null share",
    ),
    "unseen": ("raw/flights", spoilt("carrier", pl.lit("ZZ"), 0.3), "carrier", "unseen values"),
    "unseen airports": (
        "raw/arrivals",
        spoilt("dest", pl.lit("XXX"), 0.3),
        "dest",
        "unseen values",
    ),
    "another mix": (
        "raw/flights",
        spoilt("carrier", pl.lit("UA"), 0.7),
        "carrier",
        "distribution (PSI)",
    ),
    "another distribution": (
        "raw/weather",
        spoilt("humidity", pl.col("wind_speed")),
        "humidity",
        "distribution (PSI)",
    ),
    "label": ("raw/arrivals", spoilt("late", 1 - pl.col("late")), "late", "label share"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_one_damage_is_refused_by_its_rule_with_a_row(year: Year, name: str):
    table, change, column, rule = DAMAGE[name]
    judgement = judge(year, table, year.frames[MAY][table].with_columns(change), MAY)
    assert broken(judgement) == [(column, rule)]
    assert judgement.failures[0].example is not None


def test_a_carrier_that_is_wholly_absent_is_refused_and_named(year: Year):
    frame = year.frames[MAY]["raw/flights"]
    (failure,) = judge(year, "raw/flights", frame.filter(pl.col("carrier") != "US"), MAY).failures
    assert (failure.part, failure.rule) == ("carrier", "missing segment")
    assert "'US' (5.87%" in failure.observed
    few = pl.col("carrier") != "US"
    kept_one = frame.filter(few | (pl.int_range(pl.len()) == frame["carrier"].index_of("US")))
    assert judge(year, "raw/flights", kept_one, MAY).failures == []


def test_a_small_carrier_may_be_absent(year: Year):
    frame = year.frames[MAY]["raw/flights"]
    assert (
        judge(
            year,
            "raw/flights",
            frame.filter(~pl.col("carrier").is_in(["HA", "OO", "YV", "F9"])),
            MAY,
        ).failures
        == []
    )


SWITCHED_OFF = {
    "sentinels": ("sentinel number", ()),
    "max_null_change": ("nulls", 1.0),
    "max_new_share": ("unseen", 1.0),
    "max_label_change": ("label", 1.0),
}


@pytest.mark.parametrize("limit", SWITCHED_OFF)
def test_the_limit_is_what_refuses(year: Year, limit: str):
    name, off = SWITCHED_OFF[limit]
    table, change, column, rule = DAMAGE[name]
    without = USE_CASE.model_copy(update={"data_checks": DataChecks.model_validate({limit: off})})
    frame = year.frames[MAY][table].with_columns(change)
    assert (column, rule) not in broken(judge(year, table, frame, MAY, case=without))


def test_an_interval_that_was_published_before_is_a_duplicate_by_key_and_by_content(year: Year):
    april = year.frames[3]["raw/flights"]
    moved = april.with_columns(pl.col("asked_at", "scheduled_departure") + pl.duration(days=30))
    assert broken(judge(year, "raw/flights", moved, MAY)) == [
        ("flight_id", "duplicate delivery"),
        ("", "duplicate delivery"),
    ]
    renamed = moved.with_columns(flight_id=pl.col("flight_id") + "-again")
    (failure,) = judge(year, "raw/flights", renamed, MAY).failures
    assert (failure.part, failure.rule) == ("", "duplicate delivery")
    assert MONTHS[3].label in failure.observed


def test_some_rows_of_another_interval_are_a_duplicate_too(year: Year):
    mixed = pl.concat([year.frames[MAY]["raw/arrivals"], year.frames[3]["raw/arrivals"].head(5)])
    (failure,) = judge(year, "raw/arrivals", mixed, MAY).failures
    assert failure.observed.startswith("5 of ")
    assert failure.example is not None
    assert failure.example["published_at"] < MONTHS[MAY].start.isoformat()


def test_a_tenth_of_the_rows_is_refused(year: Year):
    assert broken(
        judge(year, "raw/flights", year.frames[MAY]["raw/flights"].gather_every(10), MAY)
    ) == [("", "volume")]


def test_a_change_must_be_far_from_every_reference(year: Year, tmp_path: Path):
    warm = year.frames[MAY]["raw/weather"].with_columns(pl.col("temperature") + 25)
    (failure,) = judge(year, "raw/weather", warm, MAY).failures
    assert failure.part == "temperature"
    assert "from the last published interval" in failure.observed
    assert "from the last 4 published intervals" in failure.observed
    here = Year(TableStore(str(tmp_path)), year.frames)
    for number in (0, 6, 7, 8, 9, 11):
        publish_month(here.tables, year.frames[number], MONTHS[number])
    cold = year.frames[NOVEMBER]["raw/weather"].with_columns(pl.col("temperature") - 10)
    refused = [("temperature", "distribution (PSI)")]
    assert broken(judge(here, "raw/weather", cold, NOVEMBER)) == refused
    assert broken(judge(here, "raw/weather", cold, NOVEMBER, Champion(1, MONTHS[0]))) == []
    # December is as cold, and no reference for the month before it.
    later = Champion(1, MONTHS[11])
    assert broken(judge(here, "raw/weather", cold, NOVEMBER, later)) == refused


def test_the_first_interval_says_that_it_has_no_reference(tmp_path: Path, year: Year):
    here = Year(TableStore(str(tmp_path)), year.frames)
    judgement = judge(here, "raw/flights", year.frames[0]["raw/flights"], 0)
    assert judgement.failures == []
    assert judgement.notes == [
        "raw/flights: no reference yet: first interval; judged by its declaration alone"
    ]


def test_few_rows_are_noted_and_not_compared(year: Year):
    frame = year.frames[MAY]["raw/weather"].head(900).with_columns(pl.col("humidity") / 100)
    judgement = judge(year, "raw/weather", frame, MAY)
    assert judgement.failures == []
    assert (
        "raw/weather.humidity: not compared: 900 rows with a value on both sides, 1000 needed"
        " (data_checks.minimum_rows)" in judgement.notes
    )


def test_a_reference_that_should_exist_and_does_not_is_refused(year: Year, tmp_path: Path):
    lost = Year(TableStore(str(tmp_path)), year.frames)
    april = year.frames[3]["raw/flights"]
    lost.tables.replace_all("raw/flights", april)
    assert broken(judge(lost, "raw/flights", year.frames[MAY]["raw/flights"], MAY)) == [
        ("", "reference")
    ]
    elsewhere = Champion(
        7, Interval(datetime(2012, 1, 1, tzinfo=UTC), datetime(2012, 4, 1, tzinfo=UTC))
    )
    (failure,) = judge(
        year, "raw/flights", year.frames[MAY]["raw/flights"], MAY, elsewhere
    ).failures
    assert failure.rule == "reference"
    assert "champion 7" in failure.limit


def test_history_is_not_judged_by_a_champion_that_was_trained_on_what_came_later(year: Year):
    spring = Champion(7, Interval(MONTHS[2].start, MONTHS[3].end))
    weather = USE_CASE.table("raw/weather")
    names = [
        [part.name for part in references(year.tables, USE_CASE, weather, month, spring)[0]]
        for month in MONTHS[:4]
    ]
    of_champion = "the training data of champion 7"
    assert [of_champion in month for month in names] == [False, False, True, True]
    assert names[1] == ["the last published interval"]
    # A champion without statistics is no reason to refuse what came before its data.
    winter = Champion(8, Interval(MONTHS[10].start, MONTHS[11].end))
    assert references(year.tables, USE_CASE, weather, MONTHS[1], winter)[2] == []


def test_a_label_that_came_before_its_event_is_refused(year: Year):
    frames = year.frames[MAY]
    assert label_times(USE_CASE, frames["raw/flights"], frames["raw/arrivals"]) == []
    early = frames["raw/flights"].with_columns(pl.col("asked_at") + pl.duration(days=3))
    (failure,) = label_times(USE_CASE, early, frames["raw/arrivals"])
    assert (failure.subject, failure.part, failure.rule) == (
        "raw/arrivals",
        "known_at",
        "label after event",
    )
    assert failure.example is not None


def test_statistics_survive_the_table_and_the_same_again_writes_nothing(year: Year):
    written = [part.interval for part in read(year.tables, USE_CASE, "raw/weather")]
    assert written == MONTHS[:4]
    before = year.tables.version("flight_delays/statistics")
    publish_month(year.tables, year.frames[3], MONTHS[3])
    assert year.tables.version("flight_delays/statistics") == before


def test_the_champion_in_service_is_believed_only_unaltered(tmp_path: Path):
    settings: Settings = home_settings(tmp_path)
    assert champion_in_service(PARCELS, settings) == (None, [])
    digest, _ = fitted_package(tmp_path / "package", parcels())
    attach_signature(tmp_path / "package", sign_package(settings, tmp_path / "package", digest))
    folder = publish(settings, PARCELS.name, tmp_path / "package", 4, digest)
    set_desired(settings, PARCELS.name, 4, digest)
    champion, failures = champion_in_service(PARCELS, settings)
    assert failures == []
    assert champion == Champion(4, Interval(START, START + timedelta(days=DAYS)))
    (folder / "metadata.json").write_text(
        (folder / "metadata.json").read_text().replace("2020", "2019")
    )
    champion, failures = champion_in_service(PARCELS, settings)
    assert champion is None
    assert [failure.rule for failure in failures] == ["reference"]
    plan_path(settings, PARCELS.name).write_text("{")
    assert [failure.rule for failure in champion_in_service(PARCELS, settings)[1]] == ["reference"]
