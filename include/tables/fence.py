"""Writes that may come late or twice: what a writer has read goes into the commit as a number that
only grows, so a writer that slept while newer data were written is refused and changes nothing.

The number lies in Delta's own transaction records, in the same commit as the rows. Two writers at
once are told apart by Delta: one commits, the other reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from include.errors import DataError, LateStep

ATTEMPTS = 60

Overtaken = CommitFailedError
"""Another writer has committed since the table was read."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fence:
    """What a writer has read. `subject` names what it writes (a table's window, say), `number` how
    new that is which it read, `writer` who it is, for the error.
    """

    subject: str
    number: int
    writer: str

    def check(self, table: DeltaTable, name: str) -> None:
        """Raise `LateStep` when the table holds what was made from something newer."""
        recorded = table.transaction_version(self.subject)
        if recorded is not None and recorded > self.number:
            raise LateStep(
                f"{self.writer} is late: {name} holds rows for {self.subject!r} that were made from"
                f" version {recorded}, and it has read version {self.number}. Nothing was written;"
                " what is there is newer. Start a new run if it should be made again."
            )

    @property
    def mark(self) -> Transaction:
        """The record of it in a commit."""
        return Transaction(app_id=self.subject, version=self.number)


def properties(fence: Fence | None, **extra: Any) -> CommitProperties:
    """What a commit carries beside its rows."""
    return CommitProperties(app_transactions=[] if fence is None else [fence.mark], **extra)


def committing(uri: str, attempt: Callable[[], T]) -> T:
    """What `attempt` gives; it is made again after another writer has won.

    Raises `DataError` when other writers win every attempt.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_attempt(ATTEMPTS),
    )
    try:
        return retrying(attempt)
    except RetryError as error:
        raise DataError(
            f"{uri}: other writers won {ATTEMPTS} times in a row. Run the task again."
        ) from error
