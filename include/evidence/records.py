"""What is collected: files with their source, what is left out, what is missing, what is to be
looked at.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any, Literal

import polars as pl

from include.errors import DataError
from include.interval import Interval
from include.verdict import Finding

State = Literal["present", "partly", "missing"]

ROW_FIELDS = frozenset(
    {
        "example",
        "attribution_rows",
        "details",
        "observed_value",
        "partial_unexpected_list",
        "partial_unexpected_counts",
        "partial_unexpected_index_list",
        "unexpected_list",
        "unexpected_index_list",
        "unexpected_index_query",
    }
)
"""Fields of verdicts that may hold values of single rows."""
LEFT_OUT = "left out: may hold values of single rows"


@dataclass(frozen=True)
class Period:
    """The period `[since, until)` that an audit is about, in UTC; None leaves that side open."""

    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise DataError(
                f"The period must end after it begins: since {self.since:%Y-%m-%d %H:%M}, until"
                f" {self.until:%Y-%m-%d %H:%M} UTC."
            )

    @classmethod
    def parse(cls, since: str | None, until: str | None) -> Period:
        """From ISO 8601 dates or times, UTC unless they say another zone. Raises `DataError`."""
        return cls(*(None if text is None else _moment(text) for text in (since, until)))

    @property
    def text(self) -> str:
        """For people."""
        if self.since is None and self.until is None:
            return "the version's whole life"
        since = "the beginning" if self.since is None else f"{self.since:%Y-%m-%d %H:%M}"
        until = "now" if self.until is None else f"{self.until:%Y-%m-%d %H:%M}"
        return f"{since} to {until} UTC"

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return (self.since is None or moment >= self.since) and self.began_before(moment)

    def began_before(self, moment: datetime) -> bool:
        """Whether a moment lies before its end."""
        return self.until is None or moment < self.until

    def meets(self, interval: Interval) -> bool:
        """Whether an interval has a part in it."""
        return (self.since is None or interval.end > self.since) and self.began_before(
            interval.start
        )

    def where(self, column: str) -> pl.Expr:
        """The rows whose moment in `column` lies in it."""
        condition = pl.lit(value=True)
        if self.since is not None:
            condition = condition & (pl.col(column) >= self.since)
        if self.until is not None:
            condition = condition & (pl.col(column) < self.until)
        return condition

    def where_overlaps(self) -> pl.Expr:
        """The rows whose `interval_start` and `interval_end` have a part in it."""
        condition = pl.lit(value=True)
        if self.since is not None:
            condition = condition & (pl.col("interval_end") > self.since)
        if self.until is not None:
            condition = condition & (pl.col("interval_start") < self.until)
        return condition

    def as_json(self) -> dict[str, str | None]:
        """ISO 8601; null for an open side."""
        return {
            "since": None if self.since is None else self.since.isoformat(),
            "until": None if self.until is None else self.until.isoformat(),
        }


@dataclass(frozen=True)
class RecordFile:
    """One file of the archive; `source` says which table, run or ledger it was read from."""

    name: str
    content: bytes
    source: str


@dataclass(frozen=True)
class Withheld:
    """A record that stays where it is, by its digest: it may hold rows, or is large."""

    name: str
    sha256: str
    size: int
    source: str
    why: str

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Lack:
    """What is not there, and the command or declaration that would make it."""

    what: str
    how: str

    def as_json(self) -> dict[str, str]:
        """Both as plain JSON."""
        return {"what": self.what, "how": self.how}


@dataclass(frozen=True)
class Evidence:
    """What the records say about one kind of evidence.

    `exists` is whether a record of this version and period does; `lacks` are the parts of it that
    do not; `findings` those that an auditor must see first (they are refused findings).
    """

    kind: str
    exists: bool
    files: tuple[RecordFile, ...] = ()
    facts: tuple[str, ...] = ()
    lacks: tuple[Lack, ...] = ()
    findings: tuple[Finding, ...] = ()
    withheld: tuple[Withheld, ...] = ()

    @property
    def state(self) -> State:
        """Computed from the records alone."""
        if not self.exists:
            return "missing"
        return "partly" if self.lacks or self.findings else "present"


def missing(kind: str, what: str, how: str, *facts: str) -> Evidence:
    """Evidence of which there is no record."""
    return Evidence(kind, exists=False, facts=facts, lacks=(Lack(what, how),))


def finding(rule: str, subject: str, reason: str, observed: Any = None) -> Finding:
    """Something that an auditor must see first; `reason` is a sentence."""
    return Finding(rule=rule, subject=subject, observed=observed, passed=False, reason=reason)


def json_file(name: str, document: Any, source: str) -> RecordFile:
    """A document as it is, in a file; the same document has the same bytes."""
    text = json.dumps(document, indent=1, sort_keys=True, default=_plain, ensure_ascii=False)
    return RecordFile(name, f"{text}\n".encode(), source)


def csv_file(name: str, rows: pl.DataFrame, source: str) -> RecordFile:
    """A table's rows, sorted by all its columns, times in ISO 8601."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(rows.columns)
    texts = ([_cell(value) for value in row] for row in rows.iter_rows())
    writer.writerows(sorted(texts))
    return RecordFile(name, buffer.getvalue().encode(), source)


def without_rows(document: Any) -> Any:
    """The document without the fields that may hold values of single rows."""
    if isinstance(document, Mapping):
        return {
            name: LEFT_OUT if name in ROW_FIELDS and value else without_rows(value)
            for name, value in document.items()
        }
    if isinstance(document, Sequence) and not isinstance(document, str | bytes):
        return [without_rows(part) for part in document]
    return document


def sentences(parts: Iterable[str], most: int = 5) -> str:
    """A few of them, and how many more there are."""
    listed = list(parts)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def day(moment: datetime) -> str:
    """A moment for people, to the minute."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(
            f"{text!r} is no date or time; write for example 2026-01-01 or 2026-01-01T14:05+01:00."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime | time) else str(value)
