"""What people write beside runs, data-set versions and models: append-only, so that who said what,
and when, stays.

One row per remark in the Delta table `governance/annotations`. A correction is a new row that names
the one it replaces; both stay.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from include.errors import DataError
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore

Kind = Literal["run", "data_set", "model"]

TABLE = "governance/annotations"
SCHEMA: dict[str, Any] = {
    "annotation_id": pl.String,
    "kind": pl.String,
    "subject": pl.String,
    "author": pl.String,
    "written_at": TIMESTAMP,
    "text": pl.String,
    "replaces": pl.String,
}


@dataclass(frozen=True)
class Annotation:
    """One remark.

    `subject` is an MLflow run id, `<data-set table>@<version>` or `<model>/<version>`; `replaces`
    an older remark's id.
    """

    annotation_id: str
    kind: str
    subject: str
    author: str
    written_at: datetime
    text: str
    replaces: str | None = None

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**self.__dict__, "written_at": self.written_at.isoformat()}


def annotate(
    tables: TableStore,
    kind: Kind,
    subject: str,
    text: str,
    *,
    author: str,
    replaces: str | None = None,
) -> Annotation:
    """Add a remark, or the next wording of one.

    Raises `DataError` for an empty text or author, and when `replaces` is no remark on this subject
    or has been replaced already.
    """
    if not text.strip() or not author.strip():
        raise DataError(
            "An annotation needs a text and a name: say what is to be known and who says it"
            " (--who)."
        )
    if replaces is not None:
        replaces = _replaceable(history(tables, kind, subject), subject, replaces).annotation_id
    remark = Annotation(
        uuid.uuid4().hex[:12],
        kind,
        subject,
        author.strip(),
        datetime.now(UTC),
        text.strip(),
        replaces,
    )
    row = pl.DataFrame([{**remark.__dict__}], schema=SCHEMA)
    _ledger(tables).append(row)
    return remark


def history(tables: TableStore, kind: Kind, subject: str | None = None) -> list[Annotation]:
    """Every remark ever written (on one subject), oldest first, replaced ones included."""
    where = pl.col("kind") == kind
    frame = _ledger(tables).read(
        where if subject is None else where & (pl.col("subject") == subject)
    )
    return [Annotation(**row) for row in frame.sort("written_at", "annotation_id").to_dicts()]


def current(tables: TableStore, kind: Kind, subject: str | None = None) -> list[Annotation]:
    """The remarks that no later one replaces, oldest first."""
    written = history(tables, kind, subject)
    replaced = {remark.replaces for remark in written}
    return [remark for remark in written if remark.annotation_id not in replaced]


def _ledger(tables: TableStore) -> Ledger:
    return Ledger(tables, TABLE, SCHEMA, key=("annotation_id",))


def _replaceable(written: list[Annotation], subject: str, annotation_id: str) -> Annotation:
    replaced = {remark.replaces for remark in written}
    standing = {
        remark.annotation_id: remark for remark in written if remark.annotation_id not in replaced
    }
    if annotation_id not in standing:
        there = ", ".join(
            f"{remark.annotation_id} ({remark.author}: {remark.text[:40]})"
            for remark in standing.values()
        )
        raise DataError(
            f"{annotation_id!r} is no standing annotation of {subject}; there are"
            f" {there or 'none'}."
        )
    return standing[annotation_id]
