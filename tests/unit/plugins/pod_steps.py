"""Steps that a pod can run at once: one for each way in which a step ends."""

from __future__ import annotations

import logging
import time

from include.errors import DataError, LateStep, LedgerBroken
from include.steps import Decision, StepContext, StepResult


class Fact(StepResult):
    """A result that decides nothing."""

    rows: int
    share: float
    ledger: str
    try_number: int


def count(context: StepContext) -> Fact:
    logging.getLogger("flightdeck").info("three rows counted")
    settings = context.settings
    return Fact(
        rows=3,
        share=settings.sample_share,
        ledger=str(settings.ledger_url),
        try_number=context.run.try_number,
    )


def pass_on(context: StepContext, earlier: Fact) -> Fact:
    return earlier


def accept(context: StepContext) -> Decision:
    return Decision(accepted=True, reasons=())


def refuse(context: StepContext) -> Decision:
    return Decision(accepted=False, reasons=("the mean is 9 $(HOME)", "the share is 1"))


def lack_data(context: StepContext) -> Fact:
    raise DataError("raw/flights has no row of March.")


def come_late(context: StepContext) -> Fact:
    raise LateStep("Newer data were written.")


def find_a_broken_ledger(context: StepContext) -> Fact:
    raise LedgerBroken("tail cut", 4, "The ledger is broken: it ends with row 3.")


def fail_by_a_bug(context: StepContext) -> Fact:
    raise ZeroDivisionError("a bug")


def take_long(context: StepContext) -> Fact:
    time.sleep(60)
    return count(context)
