"""What the inference log holds in the end, against what callers were answered: nothing lost,
nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from include.inference_log.log import log_table, ship
from include.settings import Settings
from include.tables.store import TableStore
from proofs.harness.endpoint import USE_CASE


@dataclass(frozen=True)
class Account:
    """Prediction ids: `lost` were answered and are not in the table, `doubled` are there twice,
    `unasked` nobody was answered with.
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
    earlier, answers = set(before), list(answered)
    new = [name for name in logged_ids(settings) if name not in earlier]
    distinct = set(new)
    return Account(
        answered=len(answers),
        rows=len(new),
        lost=len(set(answers) - distinct),
        doubled=len(new) - len(distinct),
        unasked=len(distinct - set(answers)),
    )


def logged_rows(settings: Settings) -> pl.DataFrame:
    """The inference log, after shipping; without columns when nothing was ever logged."""
    ship(settings, USE_CASE)
    tables = TableStore(settings.tables_uri)
    if not tables.exists(log_table(USE_CASE)):
        return pl.DataFrame()
    return tables.read(log_table(USE_CASE))


def logged_ids(settings: Settings) -> list[str]:
    """All prediction ids of the log, after shipping."""
    rows = logged_rows(settings)
    return rows["prediction_id"].to_list() if rows.width else []
