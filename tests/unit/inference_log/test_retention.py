"""Retention: what is older than the specification says leaves the tables, and then the disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.catalogue import load_use_case
from include.inference_log.log import (
    Spool,
    feedback_table,
    log_table,
    ship,
    ship_feedback,
    spool_path,
)
from include.inference_log.retention import expire
from include.settings import Settings, load_settings
from include.tables.store import TableStore
from tests.unit.inference_log.log_helpers import answered, served, told

NOW = datetime(2026, 5, 1, tzinfo=UTC)
OLD_TAIL = "N-OLD-AND-GONE"


def microseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """Two answers, 40 and 5 days old, with feedback, in the tables."""
    settings = load_settings({"FLIGHTDECK_HOME": str(tmp_path)})
    spool = Spool(spool_path(settings))
    old = answered(
        1, answered_at=microseconds(NOW - timedelta(days=40)), request={"tailnum": OLD_TAIL}
    )
    spool.append(old)
    ship(settings, "flight_delays")
    spool.append(answered(1, answered_at=microseconds(NOW - timedelta(days=5))))
    spool.append_feedback([told(old[0].prediction_id)])
    ship(settings, "flight_delays")
    ship_feedback(settings, "flight_delays")
    spool.close()
    return settings


def files_with(settings: Settings, name: str) -> int:
    return len(list((Path(settings.tables_uri) / name).glob("*.parquet")))


def test_everything_is_kept_by_default(home: Settings) -> None:
    assert expire(home, load_use_case("flight_delays"), NOW) == {
        "before": None,
        "deleted": {},
        "files": {},
    }
    assert TableStore(home.tables_uri).read(log_table("flight_delays")).height == 2


def test_old_rows_go_and_their_bytes_after_them(home: Settings) -> None:
    use_case, log, feedback = (
        served(log_days=30),
        log_table("flight_delays"),
        feedback_table("flight_delays"),
    )
    result = expire(home, use_case, NOW)
    assert result["deleted"] == {log: 1, feedback: 1}
    assert result["files"] == {log: 0, feedback: 0}
    assert TableStore(home.tables_uri).read(log)["tailnum"].to_list() == [None]
    assert files_with(home, log) == 2
    again = expire(home, use_case, NOW, vacuum_hours=0)
    assert again["deleted"] == {log: 0, feedback: 0}
    assert again["files"] == {log: 1, feedback: 1}
    assert files_with(home, log) == 1
    assert ship(home, "flight_delays") == {"shipped": 0, "total": 1, "offset": 2}


def test_an_earlier_interval_deletes_nothing_younger(home: Settings) -> None:
    result = expire(home, served(log_days=30), NOW - timedelta(days=20))
    assert result["deleted"][log_table("flight_delays")] == 0
