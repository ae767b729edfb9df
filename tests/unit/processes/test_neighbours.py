"""Use cases beside each other: a table has one writer, and another use case reads it on purpose."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import include.use_cases
from include import catalogue
from include.errors import NotReadyYet, SpecError
from include.interval import Interval
from include.processes.declarations import problems
from include.processes.features import (
    compute_features,
    ingest_source,
    publish_tables,
    validate_data,
)
from include.processes.neighbours import WrittenPlaces, clashes, require_alone
from include.quality.delivery_verdict import judge_delivery
from include.settings import PROJECT_ROOT, Settings
from include.spec import UseCase
from include.steps import RunInfo, StepContext
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import DEPARTURES, FLIGHTS, USE_CASE, WEATHER
from proofs.harness.home import home_settings
from tests.step_runs import run_step
from tests.unit.model.synthetic import PARCELS
from tests.unit.model.synthetic import USE_CASE as PARCEL_CASE

START = datetime(2013, 1, 1, tzinfo=UTC)
WEEK = Interval(START, START + timedelta(days=7))
FLIGHTS_FILE = r"include/use_cases/flight_delays/spec\.py"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home_settings(tmp_path / "home", share=0.05)


def parcels(**changes: object) -> UseCase:
    return PARCEL_CASE.model_copy(update=changes)


def with_table(name: str) -> UseCase:
    """The parcels with their first table under this name."""
    data = PARCEL_CASE.data_set.model_copy(update={"entity_table": name})
    first = PARCELS.model_copy(update={"name": name})
    return parcels(tables=(first, *PARCEL_CASE.tables[1:]), data_set=data)


def between(first: UseCase, second: UseCase, settings: Settings) -> list[str]:
    both = {case.name: case for case in (first, second)}
    return clashes(first, WrittenPlaces(both), settings)


def test_use_cases_with_tables_of_their_own_stand_beside_each_other(settings: Settings):
    assert between(parcels(), USE_CASE, settings) == []
    assert between(USE_CASE, parcels(), settings) == []


E_ACUTE = unicodedata.normalize("NFC", "raw/caf\u00e9")
CASES = {
    "the same": ("raw/flights", "raw/flights"),
    "upper case": ("raw/Flights", "raw/flights"),
    "another alphabet in capitals": (
        "raw/\u03a3\u039a\u039f\u03a4",
        "raw/\u03c3\u03ba\u03bf\u03c4",
    ),
    "sharp s": ("raw/stra\u00dfe", "raw/STRASSE"),
    "composed otherwise": (E_ACUTE, unicodedata.normalize("NFD", E_ACUTE)),
    "full-width letters": ("raw/\uff46lights", "raw/flights"),
    "inside the other": ("raw/flights/2013", "raw/flights"),
    "around the other": ("raw", "raw/flights"),
    "the same landing": ("flights", "raw/flights"),
    "the same landing, capitals": ("FLIGHTS", "raw/flights"),
}


@pytest.mark.parametrize(("own", "theirs"), CASES.values(), ids=CASES)
def test_a_table_that_two_use_cases_write_is_refused_with_both_and_the_field(
    own: str, theirs: str, settings: Settings
):
    other = USE_CASE.model_copy(
        update={"tables": (FLIGHTS.model_copy(update={"name": theirs}), *USE_CASE.tables[1:])}
    )
    for first, second, name in ((with_table(own), other, own), (other, with_table(own), theirs)):
        lines = between(first, second, settings)
        assert lines
        assert any(line.startswith(f"tables: {name!r}") for line in lines)
        assert all(repr(first.name) in line and repr(second.name) in line for line in lines)
        assert all(f"use_cases/{second.name}/spec.py, tables" in line for line in lines)


def test_a_table_of_features_has_one_writer_too(settings: Settings):
    part = PARCEL_CASE.feature_tables[0].model_copy(update={"table": "features/Plane"})
    (line,) = between(parcels(feature_tables=(part,)), USE_CASE, settings)
    assert line.startswith("feature_tables: 'features/Plane' of the use case 'parcels'")
    assert "FeatureTable.from_use_case('flight_delays')" in line


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (with_table("flight_delays/statistics"), "tables: 'flight_delays/statistics'.*name"),
        (with_table("parcels/rows"), "the use case's own records lie"),
        (with_table("landing/rows"), "'landing', which Flightdeck fills itself"),
        (parcels(name="data_sets"), "name: 'data_sets' lies in the folder 'data_sets'"),
        (parcels(name="features"), "name: 'features'.*'flight_delays'.*feature_tables"),
        (
            parcels(
                data_set=DEPARTURES.model_copy(
                    update={
                        **{name: getattr(PARCEL_CASE.data_set, name) for name in ("id_column",)},
                        "description": "other",
                    }
                )
            ),
            f"data_set: '{DEPARTURES.name}'.*name one DataSet object in both",
        ),
    ],
    ids=["records", "own records", "landing", "name", "name of a folder", "data set"],
)
def test_what_flightdeck_writes_by_names_of_its_own_is_nobodys_table(
    case: UseCase, text: str, settings: Settings
):
    lines = between(case, USE_CASE, settings)
    assert any(re.search(text, line) for line in lines), lines


def test_the_same_data_set_is_shared(settings: Settings):
    other = reading_flights()
    assert other.training_data == USE_CASE.training_data
    assert between(other, USE_CASE, settings) == []


def test_who_has_written_the_table_goes_on(settings: Settings):
    tables = TableStore(settings.tables_uri)
    version = {"name": "raw/flights", "uri": "", "version": 0, "rows": 1}
    evidence = {"tables": {"raw/flights": version}}
    mark_complete(tables, "flight_delays", "ingest", WEEK, evidence)
    late = with_table("raw/flights")
    assert between(USE_CASE, late, settings) == []
    assert len(between(late, USE_CASE, settings)) >= 1
    mark_complete(tables, "parcels", "ingest", WEEK, evidence)
    assert len(between(USE_CASE, late, settings)) >= 1


def reading_flights(**changes: object) -> UseCase:
    """A use case that ingests and computes nothing: everything is flight_delays'."""
    return UseCase.model_validate(
        USE_CASE.model_copy(
            update={
                "name": "a_first",
                "tables": tuple(part.from_use_case("flight_delays") for part in USE_CASE.tables),
                "cross_table_rules": (),
                "feature_tables": tuple(
                    part.from_use_case("flight_delays") for part in USE_CASE.feature_tables
                ),
                **changes,
            }
        ).model_dump()
    )


def shared(**changes: object) -> UseCase:
    """The parcels, with the weather of flight_delays, changed."""
    weather = WEATHER.from_use_case("flight_delays").model_copy(update=changes)
    return parcels(tables=(*PARCEL_CASE.tables, weather))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, None),
        ({"written_by": "flight_delay"}, "written_by 'flight_delay'.*mean 'flight_delays'"),
        ({"name": "raw/wether"}, "does not write it; did you mean 'raw/weather'"),
        ({"minimum_rows": 3}, r"flight_delays\.spec and declare its from_use_case"),
    ],
    ids=["as it is", "no such use case", "no such table", "declared otherwise"],
)
def test_a_table_of_another_use_case_is_what_that_one_declares(
    changes: dict[str, object], text: str | None, settings: Settings
):
    lines = between(shared(**changes), USE_CASE, settings)
    if text is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith("tables: ")
        assert re.search(text, line), line


def test_a_table_cannot_be_written_by_its_own_reader():
    with pytest.raises(SpecError, match="written_by is 'parcels'; it must be the name of another"):
        UseCase(
            **{
                **dict(PARCEL_CASE),
                "tables": (PARCELS.from_use_case("parcels"), *PARCEL_CASE.tables[1:]),
            }
        )


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A catalogue of flight_delays and of what a test writes beside it."""
    folder = tmp_path / "use_cases"
    folder.mkdir()
    real = PROJECT_ROOT / "include" / "use_cases"
    (folder / "flight_delays").symlink_to(real / "flight_delays")
    monkeypatch.setattr(include.use_cases, "__path__", [str(folder)])
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    before = set(sys.modules)
    yield folder
    for name in [name for name in sys.modules if name.startswith("include.use_cases.")]:
        if name not in before:
            del sys.modules[name]


def write_spec(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "spec.py").write_text(text)


SAME_TABLES = """
from include.use_cases.flight_delays.spec import USE_CASE as FLIGHTS
USE_CASE = FLIGHTS.model_copy(update={"name": "a_clash"})
"""


def context(use_case: UseCase, settings: Settings) -> StepContext:
    return StepContext(use_case, settings, WEEK, RunInfo(process="features", run_id="test"))


def test_a_clash_is_named_by_the_check_and_stops_the_step_before_a_row_is_read(
    beside: Path, settings: Settings
):
    write_spec(beside, "a_clash", SAME_TABLES)
    write_spec(beside, "broken", "USE_CASE = no_such_name\n")
    lines = [line for line in problems(USE_CASE, settings) if "a_clash" in line]
    assert len(lines) >= len(USE_CASE.tables)
    assert all(line.startswith("include/use_cases/flight_delays/spec.py: ") for line in lines)
    with pytest.raises(SpecError, match="tables: 'raw/flights' of the use case 'flight_delays'"):
        run_step(ingest_source, context(USE_CASE, settings))
    assert not Path(settings.tables_uri).exists()
    require_alone(PARCEL_CASE, settings)  # the others go on


@pytest.mark.slow
def test_a_reader_waits_for_the_writer_and_writes_nothing_itself(beside: Path, settings: Settings):
    reader, writer = context(reading_flights(), settings), context(USE_CASE, settings)
    with pytest.raises(NotReadyYet, match="flight_delays__features"):
        run_step(ingest_source, reader)

    def bring(step_context: StepContext) -> None:
        landed = run_step(ingest_source, step_context)
        verdict = run_step(validate_data, step_context, {"ingest_source": landed})
        assert verdict["accepted"] is True, verdict["reasons"]
        run_step(publish_tables, step_context, {"ingest_source": landed, "validate_data": verdict})

    bring(writer)
    tables = TableStore(settings.tables_uri)
    before = {table.name: tables.version(table.name) for table in USE_CASE.tables}
    bring(reader)
    with pytest.raises(
        NotReadyYet, match=r"reads \['features/carrier_daily'.*flight_delays writes"
    ):
        run_step(compute_features, reader)
    run_step(compute_features, writer)
    assert run_step(compute_features, reader) == {"tables": {}, "statistics": {}}
    assert {name: tables.version(name) for name in before} == before
    later = Interval(WEEK.end, WEEK.end + timedelta(days=7))
    verdict = judge_delivery(replace(reader, interval=later), {}, None)
    assert verdict["reasons"][0].startswith("raw/flights: published by its use case: flight_delays")
