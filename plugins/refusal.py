"""A decided no ends a task at once: no retry, and no traceback in front of its reasons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from airflow.sdk import BaseOperator, Context
from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

from include.errors import LateStep, SpecError

MOST_LINES = 12
LINE_CHARACTERS = 300


class Refusal(SystemExit):
    """The task is refused, and its log has said why.

    It is a `SystemExit` because Airflow logs the text of one as a single line, where it prints a
    traceback of every other exception: no line of our code is what a reader of a refusal looks for.
    """


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
    """Write the headline and at most `MOST_LINES` lines of reasons; return what to raise."""
    reasons = list(lines)
    log.error("%s", headline)
    for number, line in enumerate(reasons[:MOST_LINES], 1):
        log.error("%2d. %s", number, shortened(line))
    if len(reasons) > MOST_LINES:
        log.error("%d more in the task's result (XCom).", len(reasons) - MOST_LINES)
    return Refusal(headline)


def refused_request(
    operator: BaseOperator, context: Context, error: SpecError | LateStep
) -> Refusal:
    """Leave a refusal as the task's result, for the run's note, and return what to raise.

    It is for what only its author can mend (a parameter, an interval without data, the
    specification): another try would read the same.
    """
    context["ti"].xcom_push(key="return_value", value={"accepted": False, "reasons": [str(error)]})
    return refusal(operator.log, f"{operator.task_id} is refused: {error}")


def shortened(text: str, characters: int = LINE_CHARACTERS) -> str:
    """The text on one line, cut where it is too long for one."""
    line = " ".join(text.split())
    return line if len(line) <= characters else f"{line[: characters - 3]}..."
