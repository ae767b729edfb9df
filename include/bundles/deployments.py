"""Which version of the pipeline runs here, and everything that was decided about that: who, when,
why, on what evidence.

The newest row that deployed something or took it back says which version runs: that it was decided
and that it counts is one commit. Rows are added and never changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
    select,
)

from include.database import Database
from include.files import sqlite_url
from include.settings import Settings

Event = Literal["begun", "refused", "deployed", "rolled_back"]
DECIDING = ("deployed", "rolled_back")
ENDING = ("refused", *DECIDING)
NAME = "pipeline_deployments"
METADATA = MetaData()
DEPLOYMENTS = Table(
    NAME,
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("recorded_at", String(40), nullable=False),
    Column("environment", String(20), nullable=False, index=True),
    Column("event", String(20), nullable=False),
    Column("version", String(64), nullable=False),
    Column("code_commit", String(64), nullable=False),
    Column("previous", String(64), nullable=True),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
)


@event.listens_for(DEPLOYMENTS, "after_create")
def _refuse_changes(_: Table, connection: Connection, **__: Any) -> None:
    for operation in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {NAME}_no_{operation.lower()} BEFORE {operation} ON {NAME}"
            " BEGIN SELECT RAISE(ABORT, 'deployments are only added'); END"
        )


@dataclass(frozen=True)
class Deployment:
    """One row; `previous` is the version that ran before it, None for the checkout."""

    number: int
    recorded_at: str
    environment: str
    event: str
    version: str
    code_commit: str
    previous: str | None
    actor: str
    reason: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Decision:
    """What is to be recorded."""

    event: Event
    version: str
    code_commit: str
    actor: str
    reason: str
    evidence: dict[str, Any]


class Deployments:
    """The record of one environment's home, a SQLite file there: whoever has the versions' files
    has it, whatever other database is away.
    """

    def __init__(self, settings: Settings) -> None:
        path = settings.pipelines_dir / "deployments.db"
        self._environment = settings.environment
        self._database = Database(sqlite_url(path), NAME, METADATA)

    def record(self, decision: Decision) -> Deployment:
        """Add a row; from its commit on it counts."""
        with self._database.writing() as connection:
            rows = self._rows(connection)
            newest = connection.execute(
                select(DEPLOYMENTS.c.number).order_by(DEPLOYMENTS.c.number.desc()).limit(1)
            ).scalar()
            row = Deployment(
                number=(newest or 0) + 1,
                recorded_at=datetime.now(UTC).isoformat(timespec="seconds"),
                environment=self._environment,
                event=decision.event,
                version=decision.version,
                code_commit=decision.code_commit,
                previous=_current(rows),
                actor=decision.actor,
                reason=decision.reason,
                evidence=decision.evidence,
            )
            values = {**vars(row), "evidence": json.dumps(row.evidence, sort_keys=True)}
            connection.execute(DEPLOYMENTS.insert(), values)
        return row

    def rows(self) -> list[Deployment]:
        """All rows of this environment, the oldest first."""
        with self._database.reading() as connection:
            return [] if connection is None else self._rows(connection)

    def current(self) -> str | None:
        """The version that runs; None before the first deployment."""
        return _current(self.rows())

    def before(self) -> str | None:
        """The version that ran before the one that runs was deployed; None where it was the
        checkout.
        """
        rows = self.rows()
        version = _current(rows)
        deployed = [row for row in rows if row.event == "deployed" and row.version == version]
        return deployed[-1].previous if deployed else None

    def unfinished(self) -> Deployment | None:
        """A deployment that was begun last and has not ended."""
        rows = [row for row in self.rows() if row.event in ("begun", *ENDING)]
        return rows[-1] if rows and rows[-1].event == "begun" else None

    def _rows(self, connection: Connection) -> list[Deployment]:
        statement = (
            select(DEPLOYMENTS)
            .where(DEPLOYMENTS.c.environment == self._environment)
            .order_by(DEPLOYMENTS.c.number)
        )
        return [
            Deployment(**{**row, "evidence": json.loads(row["evidence"])})
            for row in connection.execute(statement).mappings()
        ]


def _current(rows: Sequence[Deployment]) -> str | None:
    deciding = [row for row in rows if row.event in DECIDING]
    return deciding[-1].version if deciding else None
