"""The inference log: nothing that was acknowledged is lost and nothing arrives twice, whoever is
killed.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from include.catalogue import load_use_case
from include.inference_log.log import (
    KEPT_ROWS,
    LoggedPrediction,
    Spool,
    SpoolError,
    log_schema,
    prediction_ids,
    ship,
    spool_path,
)
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import EVENT, WRITER, Writer, answered

pytestmark = pytest.mark.slow  # measured at two seconds or more

TABLE = "flight_delays/inference_log"

SHIPPER = """
import sys
import include.inference_log.log as log
from include.settings import load_settings
log.CHUNK_ROWS = 40
settings = load_settings({"FLIGHTDECK_HOME": sys.argv[1]})
print("ready", flush=True)
log.ship(settings, "flight_delays")
"""


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path)})


def write(settings: Settings, batch: list[LoggedPrediction]) -> None:
    writer = Writer(settings)
    writer.write(batch)
    writer.close()


def test_prediction_ids_are_version_7_uuids_that_sort_by_time() -> None:
    first = prediction_ids(200)
    time.sleep(0.002)
    second = prediction_ids(1)
    assert len({*first, *second}) == 201
    assert all(len(name) == 32 and name[12] == "7" and name[16] in "89ab" for name in first)
    assert second[0] > max(first)


def test_a_shipment_ends_while_answers_keep_coming(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool, commits, append_once = Spool(spool_path(home)), [0], TableStore.append_once

    def append_and_answer(*arguments: Any, **options: Any) -> Any:
        commits[0] += 1
        assert commits[0] < 5, "the shipment goes on for as long as the endpoint answers"
        result = append_once(*arguments, **options)
        spool.append(answered(1))
        return result

    spool.append(answered(3))
    monkeypatch.setattr(TableStore, "append_once", append_and_answer)
    assert ship(home, "flight_delays")["shipped"] == 3
    assert ship(home, "flight_delays")["shipped"] == 1
    spool.close()


def test_a_shipped_row_has_typed_columns_named_as_everywhere(home: Settings) -> None:
    batch = answered(1)
    write(home, batch)
    assert ship(home, "flight_delays") == {"shipped": 1, "total": 1, "offset": 1}
    frame = TableStore(home.tables_uri).read(TABLE)
    assert dict(frame.schema) == log_schema(load_use_case("flight_delays"))
    row = frame.row(0, named=True)
    assert row["prediction_id"] == batch[0].prediction_id
    assert row["asked_at"] == EVENT
    assert row["scheduled_departure"] == datetime(2013, 4, 1, 15, tzinfo=UTC)
    assert (row["carrier"], row["tailnum"], row["flight_id"]) == (
        "AA",
        None,
        "AA1-JFK-LAX-2013-04-01-1100",
    )
    assert (row["weather_hourly__temperature"], row["plane__seats"]) == (41.5, None)
    assert (row["score"], row["decision"], row["flags"], row["model_version"]) == (
        0.25,
        False,
        ["unknown:plane"],
        3,
    )


def test_shipping_without_a_spool_or_without_new_rows_changes_nothing(home: Settings) -> None:
    assert ship(home, "flight_delays") == {"shipped": 0, "total": 0, "offset": -1}
    write(home, answered(5))
    ship(home, "flight_delays")
    version = TableStore(home.tables_uri).version(TABLE)
    assert ship(home, "flight_delays") == {"shipped": 0, "total": 5, "offset": 5}
    assert TableStore(home.tables_uri).version(TABLE) == version


def test_a_new_spool_is_shipped_although_its_numbers_start_again(home: Settings) -> None:
    write(home, answered(5))
    ship(home, "flight_delays")
    write(home, answered(2))
    for path in spool_path(home).parent.glob("spool.db*"):
        path.unlink()
    write(home, answered(3))
    # The journal of another spool stays where it is: nobody knows any more what of it is in the
    # table.
    assert ship(home, "flight_delays")["total"] == 8
    assert len(list(spool_path(home).parent.glob("journal/*/flight_delays/*.log"))) == 1


def test_old_rows_leave_the_spool_only_after_they_are_shipped(home: Settings) -> None:
    spool = Spool(spool_path(home))
    spool.append(answered(KEPT_ROWS + 500))
    assert spool.backlog("flight_delays") == KEPT_ROWS + 500
    ship(home, "flight_delays")
    assert spool.backlog("flight_delays") == 0
    assert len(spool.read("flight_delays", -1, 10**6)) == KEPT_ROWS
    spool.append(answered(2))
    assert spool.backlog("flight_delays") == 2
    assert ship(home, "flight_delays")["total"] == KEPT_ROWS + 502
    spool.close()


def test_a_locked_spool_refuses_and_keeps_nothing_of_the_batch(home: Settings) -> None:
    spool = Spool(spool_path(home))
    other = sqlite3.connect(spool_path(home), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SpoolError, match="refused 4 rows: database is locked"):
        spool.append(answered(4))
    with pytest.raises(SpoolError, match="takes no rows: database is locked"):
        spool.probe()
    other.execute("ROLLBACK")
    spool.probe()
    spool.append(answered(2))
    assert len(spool.read("flight_delays", -1, 100)) == 2
    other.close()
    spool.close()


def test_a_full_disk_refuses_and_keeps_nothing_of_the_batch(home: Settings) -> None:
    spool = Spool(spool_path(home))
    pages = spool._database.execute("PRAGMA page_count").fetchone()[0]
    spool._database.execute(f"PRAGMA max_page_count={pages + 4}")
    with pytest.raises(SpoolError, match="database or disk is full"):
        spool.append(answered(2000))
    assert spool.read("flight_delays", -1, 100) == []
    spool._database.execute("PRAGMA max_page_count=1000000")
    spool.append(answered(2))
    assert len(spool.read("flight_delays", -1, 100)) == 2
    spool.close()


def test_no_acknowledged_row_is_lost_or_doubled_when_writer_and_shipper_are_killed(
    home: Settings,
) -> None:
    acknowledged: list[str] = []
    kills = 0
    for number in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home.home)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().strip() for _ in range(150)]
        kills += _kill_a_shipper(home, after=0.02 + 0.05 * number)
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0]
        # The last line may be cut off: only whole ones were acknowledged.
        acknowledged += [line for line in rest.split("\n")[:-1] if line]
    result = ship(home, "flight_delays")
    logged = TableStore(home.tables_uri).read(TABLE)["prediction_id"]
    assert logged.n_unique() == logged.len() == result["total"]
    assert set(acknowledged) <= set(logged)
    assert len(acknowledged) >= 450
    assert kills >= 1


def _kill_a_shipper(home: Settings, after: float) -> int:
    with subprocess.Popen(
        [sys.executable, "-c", SHIPPER, str(home.home)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as shipper:
        assert shipper.stdout is not None
        assert shipper.stdout.readline() == "ready\n"
        time.sleep(after)
        shipper.kill()
        return int(shipper.wait() == -signal.SIGKILL)


def test_two_shippers_at_once_ship_every_row_once(home: Settings) -> None:
    write(home, answered(400))
    shippers = [
        subprocess.Popen(
            [sys.executable, "-c", SHIPPER, str(home.home)],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    assert [shipper.wait(timeout=60) for shipper in shippers] == [0, 0]
    for shipper in shippers:
        assert shipper.stdout is not None
        shipper.stdout.close()
    frame = TableStore(home.tables_uri).read(TABLE)
    assert frame.height == frame["prediction_id"].n_unique() == 400
    assert frame.select(pl.col("sequence").sort())["sequence"].to_list() == list(range(1, 401))
