"""A home is saved while others write to it, and is a home again in another place."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from cli.application import invoke
from cli.backup.archive import unpack
from cli.backup.restore import restore
from cli.backup.save import save
from cli.platform import metadata, postgres
from cli.platform.postgres_programs import obstacle
from include.errors import BackupError, SettingsError
from include.inference_log.log import ship
from include.release.ledger import Ledger
from include.settings import PROJECT_ROOT, load_settings
from include.tables.store import TableStore
from tests.homes import ODD_NAME
from tests.unit.inference_log.log_helpers import WRITER

pytestmark = pytest.mark.slow

TABLE = "flight_delays/inference_log"
SHIPPER = """
import sys
import time
import include.inference_log.log as log
from include.settings import load_settings
settings = load_settings({"FLIGHTDECK_HOME": sys.argv[1]})
while True:
    log.ship(settings, "flight_delays")
    time.sleep(0.05)
"""
RELEASES = """
import sys
import time
from include.release.ledger import Ledger
from include.settings import load_settings
ledger = Ledger(load_settings({"FLIGHTDECK_HOME": sys.argv[1]}))
number = 0
while True:
    number += 1
    ledger.append("promoted", "flight_delays", number, "d", "a", "r", {"step": number})
    time.sleep(0.05)
"""
PIPELINE = """
import sys
import time
from datetime import datetime, timedelta, UTC
import polars as pl
from include.settings import load_settings
from include.tables.store import TableStore
tables = TableStore(load_settings({"FLIGHTDECK_HOME": sys.argv[1]}).tables_uri)
start, number = datetime(2013, 1, 1, tzinfo=UTC), 0
while True:
    at, number = start + timedelta(days=number), number + 1
    frame = pl.DataFrame({"at": [at], "number": [number]}).with_columns(
        pl.col("at").cast(pl.Datetime("us", "UTC"))
    )
    for name in ("z/rows", "a/marks"):
        end = at + timedelta(days=1)
        tables.replace_window(name, frame, time_column="at", start=at, end=end)
    time.sleep(0.05)
"""
WRITERS = (SHIPPER, RELEASES, PIPELINE)
SECONDS_BEFORE = 60.0


def settings_in(folder):
    return load_settings({"FLIGHTDECK_HOME": str(folder)})


def begin(source, settings, output, *more):
    return subprocess.Popen(
        [sys.executable, "-c", source, str(settings.home), *more],
        cwd=PROJECT_ROOT,
        stdout=output,
        text=True,
    )


def wait_until_all_write(settings, answers):
    """Until every writer has written something, so that the backup falls into their midst."""
    tables, deadline = TableStore(settings.tables_uri), time.monotonic() + SECONDS_BEFORE
    while not (
        answers.stat().st_size
        and tables.exists("a/marks")
        and tables.exists(TABLE)
        and settings.ledger_path.exists()
        and Ledger(settings).newest("flight_delays")
    ):
        assert time.monotonic() < deadline, "a writer did not begin"
        time.sleep(0.1)


def acknowledged(answers):
    """The ids of whole lines: what was printed was durable."""
    return answers.read_text().rpartition("\n")[0].split("\n")


def test_a_home_is_saved_while_everything_is_written_to_and_lives_on_elsewhere(tmp_path):
    settings, answers = settings_in(tmp_path / "first"), tmp_path / "answers"
    processes = []
    with answers.open("w") as output:
        try:
            processes = [
                begin(WRITER, settings, output, "0.005"),
                *(begin(source, settings, subprocess.DEVNULL) for source in WRITERS),
            ]
            wait_until_all_write(settings, answers)
            before = acknowledged(answers)
            assert save(settings, tmp_path / "home.tar") == []
            after = acknowledged(answers)
        finally:
            for process in processes:
                process.kill()
                process.wait()
    assert len(after) > len(before), "the endpoint did not answer during the backup"

    there = settings_in(tmp_path / ODD_NAME / "second")
    restore(there, tmp_path / "home.tar")
    ship(there, "flight_delays")
    tables = TableStore(there.tables_uri)
    logged = tables.read(TABLE, columns=["prediction_id"])["prediction_id"]
    assert logged.n_unique() == logged.len()
    assert not set(before) - set(logged), "acknowledged answers are missing"
    marked, rows = (set(tables.read(name)["number"]) for name in ("a/marks", "z/rows"))
    assert marked <= rows
    assert Ledger(there).verify().number == len(Ledger(there).rows()) > 0
    # Both go on from there.
    Ledger(there).append("promoted", "flight_delays", 1, "d", "a", "r", {"step": "after"})
    assert Ledger(there).verify().number == len(Ledger(there).rows())


@pytest.fixture
def small(tmp_path):
    """A home with a table of several versions, a key and what no backup holds."""
    settings = settings_in(tmp_path / "first")
    tables = TableStore(settings.tables_uri)
    for day in (1, 2, 3):
        at = datetime(2013, 1, day, tzinfo=UTC)
        frame = pl.DataFrame({"at": [at], "number": [day]})
        tables.append_once("raw/x", frame, consumer="test", offset=day)
    for name in ("keys/api_keys", "airflow/passwords.json", "notes/plan.txt"):
        path = settings.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")
    for name in ("log/serving.log", "run/platform.json.old", "cache/x", "serving/metrics/1/m.db"):
        path = settings.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left out")
    return settings


def test_all_but_what_can_be_made_anew_is_in_it(small, tmp_path):
    save(small, tmp_path / "home.tar")
    names = set(unpack(tmp_path / "home.tar", tmp_path / "look")["members"])
    assert {"keys/api_keys", "airflow/passwords.json", "notes/plan.txt"} <= names
    assert not [name for name in names if name.startswith(("log/", "run/", "cache/", "serving/m"))]


def test_former_versions_of_a_table_can_be_read_after_it(small, tmp_path):
    save(small, tmp_path / "home.tar")
    there = settings_in(tmp_path / "second")
    restore(there, tmp_path / "home.tar")
    first, last = (TableStore(there.tables_uri).read("raw/x", version=v) for v in (0, None))
    assert (first["number"].to_list(), sorted(last["number"])) == ([1], [1, 2, 3])


def test_a_home_that_holds_something_is_refused_and_left_alone(small, tmp_path, capsys):
    save(small, tmp_path / "home.tar")
    with pytest.raises(BackupError, match=r"holds airflow, keys, notes, .*FLIGHTDECK_HOME"):
        restore(small, tmp_path / "home.tar")
    assert (small.home / "notes" / "plan.txt").exists()


def test_of_two_restores_into_one_home_the_sooner_stays(small, tmp_path, monkeypatch):
    save(small, tmp_path / "home.tar")
    there = settings_in(tmp_path / "second")
    (there.home / "log").mkdir(parents=True)
    (there.home / "log" / "old.log").write_text("of a command")

    def unpack_while_another_restores(path, folder):
        monkeypatch.undo()
        restore(there, tmp_path / "home.tar")
        (there.home / "notes" / "plan.txt").write_text("changed since")
        return unpack(path, folder)

    monkeypatch.setattr("cli.backup.restore.unpack", unpack_while_another_restores)
    with pytest.raises(BackupError, match=r"holds airflow, keys, notes|came to be while"):
        restore(there, tmp_path / "home.tar")
    assert (there.home / "notes" / "plan.txt").read_text() == "changed since"
    assert not [path for path in there.home.parent.iterdir() if path.name.startswith(".second")]


def test_a_damaged_backup_leaves_no_home(small, tmp_path):
    path = tmp_path / "home.tar"
    save(small, path)
    content = bytearray(path.read_bytes())
    place = content.index(b"content of notes/plan.txt")
    content[place] ^= 1
    path.write_bytes(content)
    there = settings_in(tmp_path / "second")
    with pytest.raises(BackupError, match=r"notes/plan\.txt"):
        restore(there, path)
    assert not there.home.exists()


def test_a_backup_of_a_newer_version_leaves_no_home(small, tmp_path, monkeypatch):
    monkeypatch.setattr("cli.backup.save.VERSION", "7.1.0")
    save(small, tmp_path / "home.tar")
    there = settings_in(tmp_path / "second")
    with pytest.raises(
        SettingsError, match=r"home\.tar was written by Flightdeck 7\.1\.0, and this"
    ):
        restore(there, tmp_path / "home.tar")
    assert not there.home.exists()


def test_a_backup_inside_of_its_own_home_is_refused(small):
    with pytest.raises(BackupError, match="lies in the home that it is to save"):
        save(small, small.home / "home.tar")


def test_there_must_be_something_to_save(tmp_path):
    with pytest.raises(BackupError, match="There is no home"):
        save(settings_in(tmp_path / "none"), tmp_path / "home.tar")


def test_artefacts_of_a_home_without_a_server_are_found_in_the_new_one(small, tmp_path):
    database = small.home / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    former = f"{small.home.as_uri()}/mlflow/artifacts"
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in (
            ("experiments", "artifact_location"),
            ("runs", "artifact_uri"),
            ("logged_models", "artifact_location"),
        ):
            connection.execute(f"CREATE TABLE {table} ({column} TEXT)")
            connection.execute(f"INSERT INTO {table} VALUES (?), (?)", (f"{former}/1", "s3://b/1"))
        connection.execute("CREATE TABLE model_versions (source TEXT, storage_location TEXT)")
        connection.execute("INSERT INTO model_versions VALUES (?, NULL)", (f"{former}/1/m",))
    save(small, tmp_path / "home.tar")
    there = settings_in(tmp_path / "second")
    restore(there, tmp_path / "home.tar")
    with closing(sqlite3.connect(there.home / "mlflow" / "mlflow.db")) as connection:
        locations = connection.execute("SELECT artifact_uri FROM runs").fetchall()
        (source,) = connection.execute("SELECT source FROM model_versions").fetchone()
    now = f"{there.home.as_uri()}/mlflow/artifacts"
    assert locations == [(f"{now}/1",), ("s3://b/1",)]
    assert source == f"{now}/1/m"


@pytest.mark.skipif(obstacle() is not None, reason=f"PostgreSQL cannot run: {obstacle()}")
def test_airflows_metadata_come_along(small, tmp_path, monkeypatch, capsys):
    embedded = {"FLIGHTDECK_AIRFLOW_DATABASE": "embedded"}
    first = load_settings({"FLIGHTDECK_HOME": str(small.home), **embedded})
    with postgres.running(first), psycopg.connect(**metadata.client_options(first)) as connection:
        connection.execute("CREATE TABLE dag_run (run_id text)")
        connection.execute("INSERT INTO dag_run VALUES ('scheduled__1')")
    monkeypatch.setenv("FLIGHTDECK_AIRFLOW_DATABASE", "embedded")
    monkeypatch.setenv("FLIGHTDECK_HOME", str(small.home))
    assert invoke(["backup", str(tmp_path / "home.tar")]) == 0
    assert "readable by you alone; it holds keys and passwords" in capsys.readouterr().out
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path / ODD_NAME))
    assert invoke(["restore", str(tmp_path / "home.tar")]) == 0
    assert "`flightdeck up` starts it" in capsys.readouterr().out
    there = load_settings({"FLIGHTDECK_HOME": str(tmp_path / ODD_NAME), **embedded})
    assert not (there.home / "airflow" / "metadata.dump").exists()
    with postgres.running(there), psycopg.connect(**metadata.client_options(there)) as connection:
        assert connection.execute("SELECT run_id FROM dag_run").fetchall() == [("scheduled__1",)]


def test_what_lies_elsewhere_is_said(small, tmp_path):
    elsewhere = small.model_copy(
        update={"tables_uri": "s3://bucket/tables", "airflow_database": "postgresql://u@h/d"}
    )
    missing = save(elsewhere, tmp_path / "home.tar")
    assert [sentence.split(":")[0] for sentence in missing] == ["Airflow's metadata", "The tables"]
    about = unpack(tmp_path / "home.tar", tmp_path / "look")
    assert about["left_out"] == missing
    assert json.dumps(missing)
