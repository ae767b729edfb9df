"""A decided no ends a task at once: no retry, and no traceback in front of its reasons."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Protocol

from airflow.sdk import BaseOperator, Context
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from include.errors import LateStep, LedgerBroken, SpecError

MOST_REASONS = 12
LINE_CHARACTERS = 96
"""What the page of a task's log shows without a sideways scroll."""
LINES_A_TEXT = 3


class Refusal(SystemExit):
    """The task is refused, and its log has said why.

    It is a `SystemExit` because Airflow logs the text of one as a single line, where it prints a
    traceback of every other exception: no line of our code is what a reader of a refusal looks for.
    That line is the headline; `str()` gives the reasons too.
    """

    def __init__(self, headline: str, reasons: Iterable[str] = ()) -> None:
        super().__init__(headline)
        self.reasons = tuple(reasons)

    def __str__(self) -> str:
        """The headline and every reason, on one line."""
        return " ".join((str(self.code), *self.reasons))


FINAL = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="plugins.refusal.Refusal",
            action=RetryAction.FAIL,
            reason="a refusal stays one however often it is tried",
        )
    ]
)
"""The retry policy of every task: whatever is no refusal is retried as its DAG says."""


class Log(Protocol):
    """What a refusal needs of a task's log."""

    def error(self, message: str, *args: object) -> None:
        """Write one line."""
        ...


def refusal(log: Log, headline: str, lines: Iterable[str] = ()) -> Refusal:
    """Write the headline and at most `MOST_REASONS` reasons; return what to raise."""
    reasons = list(lines)
    log.error("%s", headline)
    for number, reason in enumerate(reasons[:MOST_REASONS], 1):
        for line in log_lines(reason, first=f"{number:2d}. "):
            log.error("%s", line)
    if len(reasons) > MOST_REASONS:
        log.error("%d more in the task's result (XCom).", len(reasons) - MOST_REASONS)
    return Refusal(headline, reasons)


def refused_request(
    operator: BaseOperator, context: Context, error: SpecError | LateStep | LedgerBroken
) -> Refusal:
    """Leave a refusal as the task's result, for the run's note, and return what to raise.

    It is for what only a person can mend (a parameter, an interval without data, the
    specification, a release ledger that was changed): another try would read the same.
    """
    context["ti"].xcom_push(key="return_value", value={"accepted": False, "reasons": [str(error)]})
    return refusal(operator.log, f"{operator.task_id} is refused.", [str(error)])


def log_lines(text: str, *, first: str = "") -> list[str]:
    """The text in at most `LINES_A_TEXT` lines of a log; the first begins with `first`, the others
    are indented.
    """
    return textwrap.wrap(
        " ".join(text.split()),
        LINE_CHARACTERS,
        initial_indent=first,
        subsequent_indent="    ",
        max_lines=LINES_A_TEXT,
        placeholder=" ...",
        break_on_hyphens=False,
    )


def shortened(text: str, characters: int) -> str:
    """The text on one line, cut where it is too long for one."""
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 3]}..."
