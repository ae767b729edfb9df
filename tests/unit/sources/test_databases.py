"""Databases are read by a URL that nobody sees."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy

from include.errors import DataError, SpecError
from include.interval import Interval
from include.spec import SqlSource
from tests.unit.sources.readings import INSIDE, MOMENTS, read, rows

URL = "READINGS_DATABASE_URL"
TEXTS = ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S.%f+00:00", "%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'readings.db'}"
    monkeypatch.setenv(URL, url)
    return url


def fill(url: str, form: str, kind: str = "TEXT") -> None:
    """A table whose times are texts of that form."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE readings (name TEXT, at {kind}, level REAL)")
        for name, at in MOMENTS.items():
            connection.exec_driver_sql(
                "INSERT INTO readings VALUES (?, ?, 1.5)", (name, at.strftime(form))
            )
    engine.dispose()


@pytest.mark.parametrize("kind", ["TEXT", "TIMESTAMP", "DATETIME"])
@pytest.mark.parametrize("form", TEXTS)
def test_the_interval_is_cut_right_however_sqlite_holds_times(url: str, form: str, kind: str):
    fill(url, form, kind)
    source = SqlSource(url_variable=URL, table="readings", timezone="UTC")
    assert read(source)["name"].to_list() == INSIDE


def test_a_time_at_a_whole_second_belongs_to_the_interval_that_begins_with_it(url: str):
    fill(url, "%Y-%m-%d %H:%M:%S")
    source = SqlSource(url_variable=URL, table="readings", timezone="UTC")
    # Without fractions the row just before the start lies a second before it.
    assert read(source)["name"].to_list() == INSIDE


def test_an_interval_without_rows_is_empty_and_no_error(url: str):
    fill(url, TEXTS[1])
    empty = Interval(datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC))
    rows = read(SqlSource(url_variable=URL, table="readings"), interval=empty)
    assert rows.is_empty()
    assert rows.columns == ["name", "at", "level"]


def test_a_query_may_name_the_interval_and_is_cut_exactly(url: str):
    fill(url, TEXTS[1])
    query = "SELECT name, at, level * 2 AS level FROM readings WHERE at >= :start"
    inside = read(SqlSource(url_variable=URL, query=query))
    assert inside["name"].to_list() == INSIDE
    assert inside["level"].unique().to_list() == [3.0]


def test_the_url_may_lie_in_a_file(url: str, tmp_path: Path):
    fill(url, TEXTS[0])
    (tmp_path / "secret").write_text(f"{url}\n")
    source = SqlSource(url_file=str(tmp_path / "secret"), table="readings", timezone="UTC")
    assert read(source)["name"].to_list() == INSIDE
    with pytest.raises(DataError, match="secrte, which must hold the database's URL"):
        read(source.model_copy(update={"url_file": str(tmp_path / "secrte")}))


def test_what_is_missing_is_named(url: str, monkeypatch: pytest.MonkeyPatch):
    fill(url, TEXTS[0])
    with pytest.raises(DataError, match="has no such table; did you mean 'readings'"):
        read(SqlSource(url_variable=URL, table="reading"))
    monkeypatch.delenv(URL)
    with pytest.raises(DataError, match=f"environment variable {URL} is not set"):
        read(SqlSource(url_variable=URL, table="readings"))


@pytest.mark.parametrize(
    "secret_url",
    [
        "postgresql+psycopg://ann:s3cr3t@127.0.0.1:1/none?connect_timeout=1",
        "no_such_dialect://ann:s3cr3t@127.0.0.1/none",
        "ann:s3cr3t and nothing else",
    ],
)
def test_no_message_holds_the_password(monkeypatch: pytest.MonkeyPatch, secret_url: str):
    monkeypatch.setenv(URL, secret_url)
    with pytest.raises(DataError) as raised:
        read(SqlSource(url_variable=URL, table="readings"))
    assert "s3cr3t" not in str(raised.value)
    assert URL in str(raised.value)


def test_a_url_in_the_specification_is_refused_and_not_repeated():
    with pytest.raises(SpecError, match="environment variable or the file") as raised:
        SqlSource(url_variable="postgresql://ann:s3cr3t@host/none", table="readings")
    assert "s3cr3t" not in str(raised.value)
    for fields in ({"table": "a"}, {"url_variable": "A"}, {"url_variable": "A", "url_file": "b"}):
        with pytest.raises(SpecError, match="exactly one of"):
            SqlSource(**fields)


def test_rows_read_are_those_written(url: str):
    fill(url, TEXTS[0])
    source = SqlSource(url_variable=URL, table="readings", timezone="UTC")
    at = read(source, static=True).sort("at")["at"]
    assert at.to_list() == rows()["at"].to_list()
