"""What each deployed version has done in service, by ledger and tables."""

from __future__ import annotations

import json

import pytest

from cli.application import invoke
from include.monitoring.overview.page import write_page
from include.monitoring.overview.series import Measured
from include.monitoring.overview.versions import deployed_versions
from include.release.ledger import Entry, Event, Ledger
from include.settings import Settings
from include.tables.store import TableStore
from tests.unit.alarms.samples import settings_in
from tests.unit.monitoring.overview.written import AUC, BEFORE, FLIGHTS, month, write_month


@pytest.fixture
def settings(tmp_path) -> Settings:
    return settings_in(tmp_path)


def record(settings: Settings, event: Event, version: int, **evidence: object) -> Entry:
    return Ledger(settings).append(event, FLIGHTS.name, version, "d", "engineer", "so", evidence)


def test_nothing_is_or_was_in_service(settings, capsys):
    assert deployed_versions(settings, FLIGHTS) == []
    assert invoke(["models", "performance", "flight_delays"], settings) == 0
    assert "none is or was in service" in capsys.readouterr().out


def test_a_version_has_the_numbers_of_the_windows_that_it_scored(settings):
    tables = TableStore(settings.tables_uri)
    write_month(tables, 4)
    write_month(tables, 5, auc=0.66, alarm=True, verdict="performance")
    write_month(tables, 6, labels=False, model_version=2)
    first = record(settings, "promoted", 1)
    second = record(settings, "promoted", 2)
    newest, former = deployed_versions(settings, FLIGHTS)
    assert (newest.version, newest.role, newest.since, newest.until) == (
        2,
        "champion",
        second.recorded_at,
        None,
    )
    assert (newest.windows, newest.rows, newest.labelled, newest.metric) == (1, 2000, 0, None)
    assert newest.estimated == Measured(0.74, 0.73, 0.75)
    assert (former.role, former.since, former.until) == (
        "former",
        first.recorded_at,
        second.recorded_at,
    )
    assert (former.windows, former.labelled, former.alarmed) == (2, 3800, 1)
    assert (former.metric, former.measured_at) == (Measured(0.66), month(5).start)
    assert (former.before, former.verdict) == (BEFORE, "performance")


def test_after_a_rollback_the_version_before_serves_again(settings):
    record(settings, "promoted", 1)
    taken = record(settings, "promoted", 2)
    back = record(settings, "rolled_back", 2, back_to=1)
    second, first = deployed_versions(settings, FLIGHTS)
    assert (second.role, second.since, second.until) == (
        "former",
        taken.recorded_at,
        back.recorded_at,
    )
    assert (first.role, first.since, first.until) == ("champion", back.recorded_at, None)


def test_a_version_that_is_being_tried_has_its_share(settings):
    arms = [
        {"role": "champion", "version": 1, "digest": "d", "share": 0.95},
        {"role": "challenger", "version": 2, "digest": "e", "share": 0.05},
    ]
    record(settings, "promoted", 1)
    record(settings, "traffic", 2, plan={"arms": arms})
    tried, _ = deployed_versions(settings, FLIGHTS)
    assert (tried.role, tried.share, tried.since) == ("challenger", 0.05, None)
    text = write_page(settings, FLIGHTS).read_text(encoding="utf-8")
    assert "challenger, 5 %" in text


def test_the_command_prints_it_for_people_and_for_programs(settings, capsys):
    write_month(TableStore(settings.tables_uri), 4)
    record(settings, "promoted", 1)
    assert invoke(["models", "performance", "flight_delays", "--json"], settings) == 0
    (version,) = json.loads(capsys.readouterr().out)
    assert version["metric"] == {"value": AUC, "low": 0.7, "high": 0.74}
    assert (version["use_case"], version["role"]) == ("flight_delays", "champion")
    assert invoke(["models", "performance", "flight_delays"], settings) == 0
    text = capsys.readouterr().out
    assert "flight_delays/1" in text
    assert "0.7 to 0.74" in text
    assert "0.74 (0.73 to 0.75)" in text
