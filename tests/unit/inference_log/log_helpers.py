"""Answered flights for the tests of the inference log, and use cases with other marks."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from include.catalogue import load_use_case
from include.inference_log.frames import Frame, encode
from include.inference_log.journal import Journal
from include.inference_log.log import Feedback, LoggedPrediction, Spool, prediction_ids, spool_path
from include.inference_log.writer import LogWriter
from include.settings import Settings
from include.spec import UseCase

WRITER = """
import sys
import time
from include.settings import load_settings
from tests.unit.inference_log.log_helpers import Writer, answered
writer = Writer(load_settings({"FLIGHTDECK_HOME": sys.argv[1]}))
number = 0
while True:
    batch, number = answered(7), number + 1
    # Every third batch goes the way of requests with an id of their own.
    writer.write(batch) if number % 3 else writer.spool.append(batch)
    print("\\n".join(row.prediction_id for row in batch), flush=True)
    time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
"""
"""Source of an endpoint that answers without an end below the home of its first argument, and
prints the ids that are durable; its second argument is a pause in seconds between two answers.
"""

EVENT = datetime(2013, 4, 1, 12, tzinfo=UTC)
FLIGHT_ID = "AA1-JFK-LAX-2013-04-01-1100"


def answered(
    count: int, *, request: dict[str, Any] | None = None, **changes: object
) -> list[LoggedPrediction]:
    """`count` answered flights; `request` replaces single values of the request."""
    given = {
        "carrier": "AA",
        "origin": "JFK",
        "dest": "LAX",
        "tailnum": None,
        "scheduled_departure": "2013-04-01T15:00:00+00:00",
    }
    values: dict[str, object] = {
        "use_case": "flight_delays",
        "model_version": 3,
        "answered_at": 1_700_000_000_000_000,
        "event_time": int(EVENT.timestamp()) * 1_000_000,
        "target_id": FLIGHT_ID,
        "request": {**given, **(request or {})},
        "features": {"weather_hourly__temperature": 41.5, "plane__seats": None},
        "score": 0.25,
        "decision": False,
        "flags": ["unknown:plane"],
        "latency_ms": 1.5,
        **changes,
    }
    return [
        LoggedPrediction(prediction_id=identifier, **values) for identifier in prediction_ids(count)
    ]  # type: ignore[arg-type]


def told(
    prediction_id: str,
    value: float | None = 1.0,
    *,
    name: str = "label",
    text: str | None = None,
    known_at: int = 0,
) -> Feedback:
    """Feedback on one answer."""
    return Feedback(
        "flight_delays", prediction_id, name, value, text, known_at, 1_700_000_100_000_000
    )


def marked(**marks: str) -> UseCase:
    """flight_delays with privacy marks on columns of its entity table."""
    use_case = load_use_case("flight_delays")
    table = use_case.table(use_case.entity_table)
    columns = tuple(
        column.model_copy(update={"privacy": marks.get(column.name, "clear")})
        for column in table.columns
    )
    others = tuple(other for other in use_case.tables if other.name != table.name)
    return use_case.model_copy(
        update={"tables": (table.model_copy(update={"columns": columns}), *others)}
    )


def served(**changes: object) -> UseCase:
    """flight_delays with other values of its serving part."""
    use_case = load_use_case("flight_delays")
    return use_case.model_copy(update={"serving": use_case.serving.model_copy(update=changes)})


def log(writer: LogWriter, rows: list[LoggedPrediction], use_case: str = "flight_delays") -> None:
    """Write rows as the endpoint does with those of requests without an id."""
    file = writer.write(use_case, writer.encode(use_case, rows))
    if file is not None:
        os.fdatasync(file)


class Writer:
    """What a serving process does with its log, without the process."""

    def __init__(self, settings: Settings) -> None:
        self.spool = Spool(spool_path(settings))
        self.journal = Journal(self.spool.journal, settings.log_segment_bytes)

    def write(self, rows: list[LoggedPrediction], use_case: str = "flight_delays") -> Frame:
        """Make rows durable in the journal."""
        frame = encode(rows)
        self.journal.append(use_case, frame)
        return frame

    def close(self) -> None:
        """End like a process that was told to."""
        self.journal.close()
        self.spool.close()
