"""One person's rows out of everything that Flightdeck keeps of a use case (GDPR, Article 17).

Who it is is said by one column and its value, for example `customer=123`. The rows that hold it
lead to the ids of questions, these to the ids of predictions; rows with any of the three go. Before
the first row goes, the keyed digests of all of them stand on a list
(`include.tables.erased`): a run that was killed goes on by it, deliveries are held against it, and
so is a home that was restored from a backup (`again`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

import polars as pl

from include.catalogue import load_valid
from include.errors import FeatureStoreError, SpecError
from include.features.online.erasing import erase_online
from include.governance.remains import remains_of
from include.inference_log.erasing import (
    PREDICTION_ID,
    erase_spooled,
    journaled_rows,
    spooled_ids,
)
from include.inference_log.log import one_shipper, ship, ship_feedback
from include.inference_log.log_tables import feedback_table, log_table
from include.inference_log.redaction import Redaction
from include.quality.published import PROFILES, statistics_table, without_values
from include.release.ledger import Ledger
from include.settings import Settings
from include.spec import UseCase
from include.spec.base import suggestion
from include.tables.erased import ErasedKeys
from include.tables.erasing import (
    Matching,
    all_tables,
    count_rows,
    forget_history,
    holds_former,
    redact,
    remove_rows,
)
from include.tables.store import TableStore

LINKS = 3
"""From the person to questions, to predictions, and once more for what those add."""
OLDER = "older versions"
UNCOMMITTED = (
    "a file that no version names and that is younger than a day, maybe a writer's: run the command"
    " again tomorrow"
)
IN_WRITING = (
    "the journal's segment is being written by an endpoint: it goes when that ends or has filled"
    " it; run the command again then"
)


@dataclass(frozen=True)
class Place:
    """One place: rows of it that were there, rows that were erased, and why the others stay."""

    place: str
    found: int
    erased: int
    stays: str = ""


@dataclass(frozen=True)
class Erasure:
    """What was erased in the name of one use case. `digest` is that of the key on the list, empty
    where the whole list was gone through; `row` is the ledger's, 0 for a dry run.
    """

    use_case: str
    digest: str
    places: tuple[Place, ...]
    row: int = 0

    def as_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {**asdict(self), "places": [asdict(place) for place in self.places]}


def erase(
    settings: Settings,
    use_case: UseCase,
    key: tuple[str, str] | None,
    *,
    moment: datetime,
    actor: str,
    reason: str,
    dry_run: bool = False,
) -> list[Erasure]:
    """Erase the person whom a column and its value name, of the use case and of those that share a
    table with it; safe to repeat. Without a key, all who stand on the lists are erased again.

    :param moment: when it is done, for the list.

    Raises `SpecError` for a column that no table of the use case declares as text or whole number.
    """
    if key is not None:
        _check_column(use_case, key[0])
    return [
        _Erasing(settings, case, moment, dry_run=dry_run).run(key, actor, reason)
        for case in sharing(use_case)
    ]


def sharing(use_case: UseCase) -> list[UseCase]:
    """The use case, and those that read or write one of its tables."""
    names = {table.name for table in use_case.tables}
    valid, _ = load_valid()
    others = [
        other
        for name, other in sorted(valid.items())
        if name != use_case.name and names & {table.name for table in other.tables}
    ]
    return [use_case, *others]


def _check_column(use_case: UseCase, column: str) -> None:
    declared = {
        part.name: part.type
        for table in use_case.tables
        for part in table.columns
        if part.type in ("string", "integer")
    }
    if column not in declared:
        raise SpecError(
            f"{use_case.name}: no table declares {column!r} as text or whole number"
            f"{suggestion(column, declared)}"
        )


class _Erasing:
    """One use case's share of it."""

    def __init__(
        self, settings: Settings, use_case: UseCase, moment: datetime, *, dry_run: bool
    ) -> None:
        self.settings, self.use_case, self.moment = settings, use_case, moment
        self.write = not dry_run
        self.tables = TableStore(settings.tables_uri)
        self.erased = ErasedKeys(settings, use_case.name)
        self.redaction = Redaction(settings, use_case)

    def run(self, key: tuple[str, str] | None, actor: str, reason: str) -> Erasure:
        """Everything, and the ledger's row about it."""
        if self.write:
            # What is in the journal can only be erased out of the table.
            ship(self.settings, self.use_case.name)
            ship_feedback(self.settings, self.use_case.name)
        digest = ""
        if key is not None:
            column, value = key
            digest = self.erased.digest(column, value)
            self._name(column, [value])
        self._follow_links()
        remains = [
            Place(part.place, part.found, 0, part.stays)
            for part in remains_of(self.settings, self.use_case, self.erased, key)
        ]
        # The spool before the table that says which answers these are.
        erased = (*self._log(), *self._online(), *self._profiles(), *self._tables())
        places = (*erased, *remains)
        erasure = Erasure(self.use_case.name, digest, places)
        if not self.write:
            return erasure
        evidence = {
            "column": "" if key is None else key[0],
            "key_digest": digest,
            "places": [asdict(place) for place in places],
        }
        row = Ledger(self.settings).append(
            "erased", self.use_case.name, 0, "", actor, reason, evidence
        )
        return Erasure(self.use_case.name, digest, places, row.number)

    def _name(self, column: str, values: list[Any]) -> int:
        """Put values on the list, and what stands for them in the log where that hashes them."""
        written = list(values)
        if self.redaction.marked.get(column) == "hash":
            written += [self.redaction.hashed(column, value) for value in values]
        return self.erased.add(column, written, self.moment, write_down=self.write)

    def _follow_links(self) -> None:
        """Put the ids of the person's questions and predictions on the list."""
        identifier = self.use_case.id_column
        for _ in range(LINKS):
            new = 0
            for name in self._names():
                frame = self.tables.read(name)
                rows = frame.filter(self.erased.matching(frame))
                new += self._name(identifier, _values(rows, identifier))
                new += self._name(PREDICTION_ID, _values(rows, PREDICTION_ID))
            ids = spooled_ids(self.settings, self.use_case, self.erased.holds)
            if new + self._name(PREDICTION_ID, list(ids)) == 0:
                return

    def _names(self) -> list[str]:
        """The tables of the use case that have a column of the list or lead to one, in all their
        copies: landed, put aside, published, joined.
        """
        linked = {self.use_case.id_column, PREDICTION_ID, *self.erased.columns}
        return [
            name
            for name in all_tables(self.tables)
            if _belongs(self.use_case, name)
            and linked & {field.name for field in self.tables.open(name).schema().fields}
        ]

    def _tables(self) -> Iterator[Place]:
        logged = (log_table(self.use_case.name), feedback_table(self.use_case.name))
        for name in self._names():
            with ExitStack() as stack:
                if name in logged:
                    stack.enter_context(one_shipper(self.settings, self.use_case.name))
                yield from self._table(name)

    def _table(self, name: str) -> Iterator[Place]:
        matching = self.erased.matching
        yield from self._place(name, matching, partial(remove_rows, self.tables, name, matching))

    def _profiles(self) -> Iterator[Place]:
        """What was published is described by its values, and keys are values too."""
        name = statistics_table(self.use_case.name)
        if not self.tables.exists(name):
            return
        redacted = partial(without_values, holds=self.erased.holds)

        def matching(frame: pl.DataFrame) -> pl.Series:
            texts = frame[PROFILES].to_list()
            return pl.Series([redacted(text) != text for text in texts], dtype=pl.Boolean)

        yield from self._place(
            name, matching, partial(redact, self.tables, name, PROFILES, redacted, matching)
        )

    def _place(self, name: str, matching: Matching, remove: Callable[[], int]) -> Iterator[Place]:
        found = count_rows(self.tables, name, matching)
        former = holds_former(self.tables, name, matching)
        if not (found or former):
            return
        place = name if found else f"{name} ({OLDER})"
        if not self.write:
            yield Place(place, found, 0)
            return
        removed = remove()
        forget_history(self.tables, name)
        left = holds_former(self.tables, name, matching)
        yield Place(place, found, removed, UNCOMMITTED if left else "")

    def _log(self) -> Iterator[Place]:
        holds = self.erased.holds
        ids, erased = spooled_ids(self.settings, self.use_case, holds), 0
        if ids and self.write:
            erased = erase_spooled(self.settings, self.use_case, ids)
        if ids:
            yield Place("inference log's spool", max(len(ids), erased), erased)
        journaled = journaled_rows(self.settings, self.use_case, holds)
        if journaled:
            yield Place("inference log's journal", journaled, 0, IN_WRITING if self.write else "")

    def _online(self) -> Iterator[Place]:
        try:
            counts = erase_online(self.settings, self.use_case, self.erased.holds, write=self.write)
        except FeatureStoreError as error:
            yield Place("online features", 0, 0, f"{error}")
            return
        for view, (found, erased) in counts.items():
            if found:
                yield Place(f"online features, {view}", found, erased)


def _values(rows: pl.DataFrame, column: str) -> list[Any]:
    return rows[column].drop_nulls().unique().to_list() if column in rows.columns else []


def _belongs(use_case: UseCase, name: str) -> bool:
    """Whether a table is one of the use case: declared, joined, put aside, or written of it."""
    declared = {table.name for table in use_case.tables}
    declared |= {part.table for part in use_case.feature_tables}
    folders = {use_case.name, use_case.training_data.name}
    landed = {table.name.removeprefix("raw/") for table in use_case.tables} | folders
    first, _, rest = name.partition("/")
    if first in ("landing", "quarantine"):
        return any(rest == part or rest.startswith(f"{part}/") for part in landed)
    return name in declared or first in folders
