"""The PostgreSQL of the platform, started for real in a folder of its own."""

import os
import stat
import threading

import psutil
import psycopg
import pytest

from cli.platform import postgres
from cli.platform.metadata import client_options, data_folder
from cli.platform.postgres_programs import obstacle
from include.errors import PlatformError
from include.settings import load_settings
from tests.homes import ODD_NAME
from tests.processes import listening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"PostgreSQL cannot run: {obstacle()}"),
]


def settings_in(folder):
    return load_settings(
        {"FLIGHTDECK_HOME": str(folder), "FLIGHTDECK_AIRFLOW_DATABASE": "embedded"}
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A home whose first start was killed half-way; its database has been made by the second."""
    settings = settings_in(tmp_path_factory.mktemp("postgres") / ODD_NAME)
    half = data_folder(settings).with_name(".postgresql.new")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("1\n")
    postgres.ensure_cluster(settings)
    assert not half.exists()
    return settings


def server(settings):
    return psutil.Process(
        int((data_folder(settings) / "postmaster.pid").read_text().splitlines()[0])
    )


def connect(settings, **changes):
    return psycopg.connect(**{**client_options(settings), **changes})


def test_what_was_committed_survives_the_death_of_the_server(settings):
    with postgres.running(settings):
        with connect(settings) as connection:
            connection.execute("CREATE TABLE numbers (number integer)")
            connection.execute("INSERT INTO numbers VALUES (7)")
        killed = server(settings)
        slow = killed.children()[0]
        slow.suspend()  # a busy machine lets it notice late that its server is gone
        killed.kill()
    # It had no time to remove its locks; the next one starts all the same.
    assert (data_folder(settings) / "postmaster.pid").exists()
    notices = threading.Timer(1.0, slow.resume)
    notices.start()
    with postgres.running(settings), connect(settings) as connection:
        assert connection.execute("SELECT number FROM numbers").fetchall() == [(7,)]
        synced = connection.execute("SHOW fsync").fetchone()
        checked = connection.execute("SHOW data_checksums").fetchone()
    assert (synced, checked) == (("on",), ("on",))


def test_nobody_but_its_owner_comes_near_it(settings):
    with postgres.running(settings):
        process = server(settings)
        assert process.uids().real == os.getuid()
        family = [process, *process.children(recursive=True)]
        assert list(listening(family)) == []
        for path in (data_folder(settings), settings.home / "run" / ".s.PGSQL.5432"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        wrong = {**client_options(settings), "password": "guess"}
        assert "password authentication failed" in postgres.refusal(wrong)
        with pytest.raises(PlatformError, match=f"process {process.pid}\\) has .* already; end it"):
            postgres.ensure_cluster(settings)
    assert not psutil.pid_exists(process.pid)


def test_a_lock_whose_number_is_another_process_by_now_does_not_hold(settings):
    """As after a power cut: PostgreSQL itself would take this process for its own server."""
    lock = data_folder(settings) / "postmaster.pid"
    lock.write_text(f"{os.getppid()}\n{data_folder(settings)}\n")
    postgres.ensure_cluster(settings)
    assert not lock.exists()


def test_files_of_another_major_version_are_refused_with_what_to_do(tmp_path):
    settings = settings_in(tmp_path)
    data_folder(settings).mkdir(parents=True)
    (data_folder(settings) / "PG_VERSION").write_text("9\n")
    with pytest.raises(PlatformError, match=r"written by PostgreSQL 9, .* install .* 9, or move"):
        postgres.ensure_cluster(settings)
