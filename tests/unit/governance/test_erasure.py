"""One person out of a home that knows them everywhere: a tail number stands for the person."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cli.application import invoke
from include.governance.erasure import Erasure, erase
from include.inference_log.log import ship, ship_feedback
from include.interval import Interval
from include.processes.features import ingest_source, publish_tables
from include.quality.quarantine import put_aside
from include.release.ledger import Ledger
from include.scoring.batch import predictions_table
from include.settings import Settings
from include.spec import Table
from include.steps import RunInfo, StepContext
from include.tables.erased import ErasedKeys
from include.tables.store import TableStore
from include.tables.types import TYPES
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings
from tests.step_runs import ACCEPTED, run_step
from tests.unit.inference_log.log_helpers import Writer, answered, told

KEY, WHO = "tailnum", "N0815X"
IDS = ["XX815-JFK-LAX", "XX816-JFK-LAX"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
JANUARY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
LABEL = JANUARY.label
PACKAGE = "serving/models/flight_delays/1"
REPORT = "reports/validation/flight_delays"
TIMES = ("asked_at", "scheduled_departure", "known_at")
VALUES: dict[str, list[Any]] = {
    "flight_id": [*IDS, "YY1-JFK-LAX", "YY2-JFK-LAX"],
    KEY: [WHO, WHO, "N1", "N2"],
    "carrier": ["AA"] * 4,
    "origin": ["JFK"] * 4,
    "dest": ["LAX"] * 4,
}


def delivered(table: Table) -> pl.DataFrame:
    """Four rows, two of them about the person; of other columns the moment, or nothing."""
    moments = {table.time_column, *TIMES}
    columns = {}
    for column in table.columns:
        rest = JANUARY.start + timedelta(days=1) if column.name in moments else None
        values = VALUES.get(column.name, [rest] * 4)
        columns[column.name] = pl.Series(values, dtype=TYPES[column.type])
    return pl.DataFrame(columns).unique(list(table.key), keep="first", maintain_order=True)


def deliver(settings: Settings) -> None:
    """The source delivers January, and it is landed and published by the process's own steps."""
    folder = Path(str(settings.delivery_dir)) / USE_CASE.name / LABEL
    folder.mkdir(parents=True, exist_ok=True)
    for table in USE_CASE.own_tables:
        delivered(table).write_parquet(folder / f"{table.name.removeprefix('raw/')}.parquet")
    context = StepContext(
        USE_CASE, settings, JANUARY, RunInfo(process="features", run_id="delivery")
    )
    landed = run_step(ingest_source, context)
    run_step(publish_tables, context, {"ingest_source": landed, "validate_data": ACCEPTED})


def home_of(folder: Path) -> Settings:
    """A home beside what its source delivers."""
    return home_settings(
        folder / "home", DELIVERY_DIR=str(folder / "delivered"), LOG_SEGMENT_BYTES=65536
    )


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which every kind of place holds the person."""
    settings = home_of(tmp_path_factory.mktemp("erasure"))
    deliver(settings)
    tables = TableStore(settings.tables_uri)
    flights = tables.read("raw/flights")
    put_aside(tables, "raw/flights", flights, JANUARY, ["refused"])
    some = flights.select("flight_id", KEY)
    for name in (predictions_table(USE_CASE), f"flight_delays/snapshots/{LABEL}", "features/plane"):
        tables.replace_all(name, some)
    _answer(settings)
    # A report and a package, which only their names make such here.
    for path, content in (
        (f"{REPORT}/report.json", {"example": {KEY: WHO}}),
        (f"{PACKAGE}/golden.json", {"rows": [{KEY: WHO}, {KEY: "N1"}]}),
    ):
        (settings.home / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.home / path).write_text(json.dumps(content))
    return settings


def _answer(settings: Settings) -> None:
    """Four answers about the person: two shipped, one more in the journal, one in the spool."""
    writer = Writer(settings)
    rows = answered(2, request={KEY: WHO}, target_id=IDS[0])
    writer.write(rows)
    told_about = [row.prediction_id for row in rows]
    writer.spool.append_feedback([told(one) for one in told_about], told_about)
    ship(settings, USE_CASE.name)
    ship_feedback(settings, USE_CASE.name)
    writer.write(answered(1, request={KEY: WHO}))
    writer.spool.append(answered(1, request={KEY: WHO}))
    writer.close()


def traces(settings: Settings) -> set[str]:
    """The files of the home that name the person or a flight of theirs, Parquet by its rows."""
    pattern = re.compile("|".join(map(re.escape, (WHO, *IDS))).encode())
    named = set()
    for path in filter(Path.is_file, settings.home.rglob("*")):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(pl.read_parquet(path, glob=False).to_dicts()).encode()
        if pattern.search(content):
            named.add(path.relative_to(settings.home).as_posix())
    return named


def erased(settings: Settings, **options: bool) -> Erasure:
    (erasure,) = erase(
        settings, USE_CASE, (KEY, WHO), moment=NOW, actor="ann", reason="request 17", **options
    )
    return erasure


def test_a_person_is_erased_everywhere_and_comes_back_neither_by_a_delivery_nor_by_a_restore(
    lived: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    tables = TableStore(lived.tables_uri)
    before = traces(lived)
    dry = erased(lived, dry_run=True)
    assert (traces(lived), tables.exists("privacy/erased")) == (before, False)
    assert all(place.erased == 0 for place in dry.places)

    rows = {place.place: place for place in erased(lived).places}
    for place, count in {
        "raw/flights": 2,
        "raw/arrivals": 2,
        "raw/planes": 1,
        f"landing/flights/{LABEL}": 2,
        f"quarantine/flights/{LABEL}": 2,
        "features/plane": 2,
        f"flight_delays/snapshots/{LABEL}": 2,
        predictions_table(USE_CASE): 2,
        "flight_delays/inference_log": 4,
        "flight_delays/feedback": 2,
    }.items():
        assert (rows[place].found, rows[place].erased) == (count, count), place
    for place in ("flight_delays/statistics", "inference log's spool"):
        assert rows[place].erased == rows[place].found > 0, place
    assert tables.read("raw/flights")[KEY].to_list() == ["N1", "N2"]
    # What is left is what the command has named, with the reason.
    assert traces(lived) == {f"{REPORT}/report.json", f"{PACKAGE}/golden.json"}
    assert rows[PACKAGE].found == rows[REPORT].found == 1
    assert "signed" in rows[PACKAGE].stays
    assert "by hand" in rows[REPORT].stays

    entry = Ledger(lived).rows(USE_CASE.name)[-1]
    assert (entry.event, entry.actor, entry.reason) == ("erased", "ann", "request 17")
    assert entry.evidence["key_digest"] == ErasedKeys(lived, USE_CASE.name).digest(KEY, WHO)
    _delivered_again(lived)
    _restored(lived, tmp_path, capsys)


def _delivered_again(settings: Settings) -> None:
    """The source still has the month."""
    left = traces(settings)
    deliver(settings)
    assert traces(settings) == left
    assert TableStore(settings.tables_uri).read("raw/flights").height == 2
    assert [place for place in erased(settings).places if place.found and not place.stays] == []


def _restored(settings: Settings, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A home from before the erasure is cleaned by the list of the other one."""
    listed = folder / "erased.json"
    invoke(["privacy", "list", "flight_delays", "--output", str(listed)], settings)
    restored = home_of(folder)
    deliver(restored)
    assert traces(restored)
    capsys.readouterr()
    command = ["privacy", "again", "flight_delays", "--list", str(listed), "--reason", "restored"]
    invoke(command, restored)
    shown = capsys.readouterr().out
    assert traces(restored) == set()
    assert "raw/flights" in shown
    assert WHO not in shown + listed.read_text()
