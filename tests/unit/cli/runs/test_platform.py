"""Commands that need the platform say what is missing before anything is started; what they do on a
running one is shown by the tests of rollouts and of the demo.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from cli.application import invoke
from cli.runs import follow
from cli.runs.platform import require_before
from cli.runs.verdict import Outcome, tell_of_the_rest
from include.errors import NotReadyYet, PlatformError, SpecError
from include.settings import Settings
from include.spec.times import intervals_between
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings
from proofs.harness.ports import free_port

NAME = "flight_delays"
MONTHS = intervals_between(
    "@monthly", USE_CASE.schedule.start, USE_CASE.schedule.start.replace(month=4)
)
RANGE = ("--from", "2013-01", "--to", "2013-02")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return home_settings(tmp_path, AIRFLOW_PORT=free_port())


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("backfill", *RANGE), ("train", "--to", "2013-04"), ("deploy",)],
    ids=lambda arguments: arguments[0],
)
def test_without_a_platform_the_command_that_starts_it_is_named(settings, arguments):
    command, *options = arguments
    with pytest.raises(PlatformError, match=r"does not answer.*`make up` starts it"):
        invoke([command, NAME, *options], settings)


@pytest.mark.parametrize("command", ["backfill", "train", "deploy", "score", "monitor"])
def test_an_unknown_use_case_is_answered_with_what_was_meant(settings, command):
    with pytest.raises(SpecError, match=r"did you mean 'flight_delays'\?"):
        invoke([command, "flight_delay"], settings)


def test_a_range_in_the_future_is_refused_before_the_platform_is_asked(settings):
    with pytest.raises(typer.BadParameter, match="lies in the future"):
        invoke(["backfill", NAME, "--from", "2098-01", "--to", "2099-01"], settings)


def test_what_the_process_before_has_not_completed_is_named_with_its_command(settings):
    january = MONTHS[0]
    with pytest.raises(
        NotReadyYet,
        match=r"features of flight_delays .*: flightdeck backfill flight_delays --from 2013-01-01T",
    ):
        require_before(settings, USE_CASE, "batch_scoring", january)
    tables = TableStore(settings.tables_uri)
    mark_complete(tables, NAME, "features", january, {})
    require_before(settings, USE_CASE, "batch_scoring", january)
    with pytest.raises(NotReadyYet, match=r"batch_scoring .*: flightdeck score flight_delays"):
        require_before(settings, USE_CASE, "monitoring", january)


def test_where_it_stopped_it_says_how_to_go_on(capsys):
    outcomes = [Outcome("January", "accepted"), Outcome("February", "refused")]
    tell_of_the_rest(MONTHS, outcomes)
    assert capsys.readouterr().out == (
        "1 of 3 intervals are left. Go on with:\n  --from 2013-02-01T00:00 --to 2013-04-01T00:00\n"
    )
    tell_of_the_rest(MONTHS[:2], outcomes)
    assert capsys.readouterr().out == ""


class Slow:
    """Airflow's API, where a run gets its place at the fourth look."""

    def __init__(self) -> None:
        self.looks = 0

    def run_state(self, dag_id: str, run_id: str) -> str:
        self.looks += 1
        return "queued" if self.looks < 4 else "success"

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {"ingest_source": None if self.looks < 4 else "success"}

    def get(self, path: str) -> dict[str, list[object]]:
        return {"xcom_entries": []}


def test_a_run_that_airflow_has_not_begun_is_said_to_wait_once(settings, monkeypatch):
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(follow, "PATIENT_SECONDS", 0.0)
    lines: list[str] = []
    platform = follow.Platform(settings, USE_CASE, Slow(), lines.append)
    assert platform.follow("features", "by-test", "January").state == "accepted"
    assert lines == [follow.NOT_BEGUN, "  ingest_source"]
