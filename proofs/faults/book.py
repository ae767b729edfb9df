"""What the log holds in the end, against what callers were told: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from include.inference_log.log import log_table, ship
from include.settings import Settings
from include.tables.store import TableStore
from proofs.harness.world import USE_CASE


@dataclass(frozen=True)
class Account:
    """Prediction ids:

    `lost` were answered and are not in the table, `doubled` are there twice, `unasked` nobody was
    answered with.
    """

    answered: int
    rows: int
    lost: int
    doubled: int
    unasked: int

    def __str__(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled"


def settle(settings: Settings, answered: Iterable[str], before: Iterable[str] = ()) -> Account:
    """Ship what is left and compare; rows of `before` belong to earlier faults."""
    logged, earlier, told = logged_ids(settings), set(before), list(answered)
    new = [name for name in logged if name not in earlier]
    distinct = set(new)
    return Account(
        answered=len(told),
        rows=len(new),
        lost=len(set(told) - distinct),
        doubled=len(new) - len(distinct),
        unasked=len(distinct - set(told)),
    )


def logged_ids(settings: Settings) -> list[str]:
    """All prediction ids of the table, after shipping."""
    ship(settings, USE_CASE)
    tables = TableStore(settings.tables_uri)
    if not tables.exists(log_table(USE_CASE)):
        return []
    return list(tables.read(log_table(USE_CASE), columns=["prediction_id"])["prediction_id"])
