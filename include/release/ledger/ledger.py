"""The release ledger: who put which version in front of whom, when, why and on what evidence.

Append-only rows in a database, each signed and chained to the one before it; the signed head lies
beside (`include.release.ledger.head`). Whoever changes rows, head or both is found by `verify`, and
named.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import rfc8785
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from include.errors import ReleaseError
from include.files import locked, sqlite_url, write
from include.release.ledger import database as db
from include.release.ledger.checking import (
    Mark,
    Witness,
    check_head,
    check_rows,
    check_witnesses,
)
from include.release.ledger.entries import (
    DECIDING,
    GENESIS,
    Entry,
    Event,
    canonical,
    now,
    parsed,
    same_or_late,
)
from include.release.ledger.head import Head, head_of, read_head, row_message, write_head
from include.release.ledger.keys import Keys
from include.release.ledger.migration import holds_former, migrate
from include.release.ledger.traffic import Traffic, traffic_of
from include.settings import Settings

HEAD_FILE = "releases.head"
MARK_FILE = "releases.verified"
LOCK_SECONDS = 120.0
ATTEMPTS = 20
# Old rows that each verification reads again, whatever the ledger's length.
READ_AGAIN = 1000


class Ledger:
    """The ledger of a home; safe for several processes at once.

    Reading makes nothing: a ledger is begun by its first row.
    """

    def __init__(self, settings: Settings) -> None:
        self._open(
            settings.ledger_url or sqlite_url(settings.ledger_path),
            settings.ledger_path.parent,
            settings.keys_dir,
            settings.ledger_path,
        )

    @classmethod
    def at(cls, url: str, folder: Path, keys: Path) -> Self:
        """The ledger in the database `url` with head below `folder` and the pair below `keys`."""
        ledger = cls.__new__(cls)
        ledger._open(url, folder, keys, folder / "releases.db")
        return ledger

    def _open(self, url: str, folder: Path, keys: Path, former: Path) -> None:
        self.database, self.keys = db.LedgerDatabase(url), Keys(keys)
        self.head_path, self.mark_path = folder / HEAD_FILE, folder / MARK_FILE
        self._lock_path = folder / ".releases.lock"
        if holds_former(former):
            with self._locked():
                migrate(former, self.database, self.keys, self.head_path)

    def append(
        self,
        event: Event,
        use_case: str,
        version: int,
        digest: str,
        actor: str,
        reason: str,
        evidence: dict[str, Any],
        *,
        after: int | None = None,
        about_same: Callable[[Entry], bool] | None = None,
    ) -> Entry:
        """Add one row and return it. `evidence` must be JSON; its `run` names the run.

        The same run, event, version and `evidence["step"]` again give the row that is there.
        `after` is the number of the newest row about the use case's traffic that the caller has
        read (0: there was none; its own run's rows do not count). When there is a newer one, a
        promotion of this very version is returned; otherwise `LateStep` is raised, and nothing is
        added. With `about_same` the row's evidence lists, as `earlier`, the numbers of the rows of
        its event and use case for which that holds, as they are when it is written: of two that are
        added at once the later one lists the earlier. Raises `LedgerBroken` where the newest row
        and the head do not fit each other.
        """
        entry = Entry(
            0,
            now(),
            event,
            use_case,
            version,
            digest,
            actor,
            reason,
            parsed(canonical(evidence)),
            GENESIS,
        )
        with self._locked():
            self._begin()
            for _ in range(ATTEMPTS):
                # A writer on a host that does not share the lock may have taken the number.
                with suppress(IntegrityError):
                    return self._append(entry, after, about_same)
        raise ReleaseError(
            f"The ledger {self.database.place} cannot be written: other hosts took the next number"
            f" {ATTEMPTS} times. Try again."
        )

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Keep every writer that shares the lock waiting, so that rows and head fit each other
        while they are copied. Raises `ReleaseError` when another process does not let go.
        """
        with self._locked():
            yield

    def rows(self, use_case: str | None = None) -> list[Entry]:
        """All rows (of one use case), oldest first."""
        return self._read(use_case=use_case)

    def newest(self, use_case: str) -> Entry | None:
        """The newest row about who answers: traffic, promotion or roll-back."""
        return self._newest(use_case, DECIDING)

    def current(self, use_case: str) -> Entry | None:
        """The newest promotion."""
        return self._newest(use_case, ("promoted",))

    def serving_at(self, use_case: str, when: datetime) -> Entry | None:
        """The promotion that was in force at `when` (time-zone aware): the last one recorded until
        then.
        """
        promoted = self._read(use_case=use_case, events=("promoted",))
        return next((entry for entry in reversed(promoted) if entry.recorded_at <= when), None)

    def traffic(self, use_case: str, when: datetime | None = None) -> Traffic | None:
        """Who answers, each at which share, since which row; at `when` (time-zone aware) or now.

        `None` before the first release.
        """
        newest = self.newest(use_case) if when is None else None
        if newest is not None and "plan" in newest.evidence:
            return traffic_of([newest])
        rows = self._read(use_case=use_case, events=DECIDING)
        return traffic_of([row for row in rows if when is None or row.recorded_at <= when])

    def in_service(self, use_case: str) -> Traffic | None:
        """Who answers by the newest promotion or roll-back: a version that is only being tried is
        not among them. `None` before the first.
        """
        return traffic_of(self._read(use_case=use_case, events=("promoted", "rolled_back")))

    def promotion_before(
        self,
        use_case: str,
        after: int | None,
        version: int,
        digest: str,
        *,
        run: str | None = None,
    ) -> Entry | None:
        """The promotion that a release of the version replaces: the newest one until row `after`
        (0: none), or the newest of all where nobody has noted it.

        Raises `LateStep` when a run other than `run` has changed since who answers.
        """
        current = self.current(use_case)
        if after is None:
            return current
        for newer in self._read(use_case=use_case, events=DECIDING, first=after + 1)[::-1]:
            if run is None or newer.run != run:
                same_or_late(newer, version, digest)
                break
        if current is None or current.number <= after:
            return current
        before = self._read(
            use_case=use_case, events=("promoted",), last=after, newest_first=True, limit=1
        )
        return before[0] if before else None

    def verify(self, since: Mark | None = None, *, witnesses: Sequence[Witness] = ()) -> Mark:
        """Check rows, chain, signatures and head; how far it was verified.

        With `since` the rows after it are read, and a constant number of older ones by turns;
        without, all. `witnesses` are rows that others have written down. A row that a killed writer
        left without its head gets it. Raises `LedgerBroken` naming row and kind.
        """
        with self._locked():
            head = read_head(self.head_path, self.keys)
            with self.database.reading() as connection:
                mark, torn = self._checked(connection, since, head, witnesses)
            if torn is not None and self.keys.can_sign:
                write_head(self.head_path, head_of(torn, now()), self.keys)
        return mark

    def verify_new(self, *, witnesses: Sequence[Witness] = ()) -> Mark:
        """Verify since the last time that this was called on this home, as `verify`.

        How far that was stands signed beside the head; without it everything is read.
        """
        mark = self.verify(self._read_mark(), witnesses=witnesses)
        if self.keys.can_sign and mark.number:
            content = {**asdict(mark), "signature": self.keys.sign(_mark_message(mark))}
            write(self.mark_path, json.dumps(content), durable=True)
        return mark

    def signed_head(self) -> dict[str, Any] | None:
        """The head with its signature, as plain JSON, once it was seen to hold."""
        if self.head() is None:
            return None
        content: dict[str, Any] = json.loads(self.head_path.read_bytes())
        return content

    def head(self) -> Head | None:
        """The signed head; `None` where no ledger has been begun."""
        return read_head(self.head_path, self.keys)

    def _append(
        self, entry: Entry, after: int | None, about_same: Callable[[Entry], bool] | None
    ) -> Entry:
        head = read_head(self.head_path, self.keys)
        with self.database.writing() as connection:
            last = self._fitting(connection, head)
            newer = None if after is None else _newer(connection, entry, after)
            if newer is not None:
                return same_or_late(newer, entry.version, entry.digest)
            same = None if entry.once is None else db.entry_once(connection, entry.once)
            if same is not None:
                return same
            if about_same is not None:
                entry = _naming_earlier(connection, entry, about_same)
            added = self._signed(entry, last)
            db.insert(connection, added)
        write_head(self.head_path, head_of(added, added.recorded_at), self.keys)
        return added

    def _signed(self, entry: Entry, last: Entry | None) -> Entry:
        number, previous = (0, GENESIS) if last is None else (last.number, last.hash)
        chained = replace(entry, number=number + 1, previous=previous)
        hashed = replace(chained, hash=chained.computed_hash())
        return replace(hashed, signature=self.keys.sign(row_message(hashed.hash)))

    def _fitting(self, connection: Connection, head: Head | None) -> Entry | None:
        """The newest row, which must be the one of the head, or the one after it."""
        last = db.last_entry(connection)
        if last is None:
            check_head(Mark(), GENESIS, head)
        else:
            mark = check_rows([last], Mark(last.number - 1, last.previous), self.keys)
            if check_head(mark, last.previous, head):
                write_head(self.head_path, head_of(last, now()), self.keys)
        return last

    def _checked(
        self,
        connection: Connection | None,
        since: Mark | None,
        head: Head | None,
        witnesses: Sequence[Witness],
    ) -> tuple[Mark, Entry | None]:
        """How far the ledger is verified, and the row that the head lacks."""
        if connection is None:
            check_head(Mark(), GENESIS, head)
            check_witnesses(0, {}, witnesses)
            return Mark(), None
        last = db.last_entry(connection)
        number = 0 if last is None else last.number
        start = since or Mark()
        again_from = self._read_again(connection, start)
        by_others = (*witnesses, Witness(start.number, start.hash, "its last verification"))
        rows = {item.number: db.entry_at(connection, item.number) for item in by_others}
        hashes = {key: row.hash for key, row in rows.items() if row is not None}
        check_witnesses(number, hashes, by_others)
        mark = check_rows(db.entries(connection, first=start.number + 1), start, self.keys)
        torn = check_head(mark, GENESIS if last is None else last.previous, head)
        return replace(mark, again_from=again_from), last if torn else None

    def _read_again(self, connection: Connection, since: Mark) -> int:
        """Check a part of the rows that were verified before; where the next part begins."""
        first = since.again_from if since.again_from <= since.number else 1
        last = min(first + READ_AGAIN - 1, since.number)
        if last < first:
            return 1
        before = db.entry_at(connection, first - 1)
        rows = db.entries(connection, first=first, last=last)
        if first == 1 or before is not None:
            check_rows(rows, Mark(first - 1, GENESIS if before is None else before.hash), self.keys)
        return last + 1

    def _begin(self) -> None:
        """Make key, head and public key, in this order, each once: a kill leaves a beginning that
        the next one finishes, and no head is ever missing beside a public key.
        """
        if self.keys.public_path.exists():
            return
        self.keys.begin()
        if not self.head_path.exists():
            write_head(self.head_path, head_of(None, now()), self.keys)
        self.keys.publish()

    def _newest(self, use_case: str, events: Sequence[str]) -> Entry | None:
        rows = self._read(use_case=use_case, events=events, newest_first=True, limit=1)
        return rows[0] if rows else None

    def _read(self, **conditions: Any) -> list[Entry]:
        with self.database.reading() as connection:
            return [] if connection is None else db.entries(connection, **conditions)

    def _read_mark(self) -> Mark | None:
        try:
            content = json.loads(self.mark_path.read_bytes())
            signature = content.pop("signature")
            mark = Mark(**content)
            return mark if self.keys.holds(_mark_message(mark), signature) else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with locked(self._lock_path, seconds=LOCK_SECONDS):
                yield
        except TimeoutError as error:
            raise ReleaseError(
                f"Another process holds the ledger's lock {self._lock_path} and does not end; end"
                " it, or run the task again later."
            ) from error


def _newer(connection: Connection, entry: Entry, after: int) -> Entry | None:
    """The newest row about the use case's traffic after number `after`, of another run."""
    rows = db.entries(
        connection,
        use_case=entry.use_case,
        events=DECIDING,
        first=after + 1,
        newest_first=True,
    )
    return next((row for row in rows if entry.run is None or row.run != entry.run), None)


def _naming_earlier(
    connection: Connection, entry: Entry, about_same: Callable[[Entry], bool]
) -> Entry:
    rows = db.entries(connection, use_case=entry.use_case, events=(entry.event,))
    earlier = [row.number for row in rows if about_same(row)]
    return replace(entry, evidence={**entry.evidence, "earlier": earlier})


def _mark_message(mark: Mark) -> bytes:
    return b"flightdeck ledger verified\n" + rfc8785.dumps(asdict(mark))
