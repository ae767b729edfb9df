"""What the inference log keeps of keys and request fields: clear, as a keyed hash, or nothing, as
the specification marks each column.

The hash is HMAC-SHA-256 (RFC 2104), its first 128 bits, under a key that lies in
`<home>/keys/log.key` (made on first use, mode 0600, never written anywhere else). Equal values of
one column give equal text, so that rows can be joined by it; without the key nobody can try values
out. Null stays null. Without the key file the hashes of older rows can never be matched again: keep
a copy of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from include.errors import ServingError
from include.files import write
from include.inference_log.log_tables import log_schema
from include.inference_log.rows import LoggedPrediction
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

KEY_BYTES = 32
HASH_CHARACTERS = 32


def log_key(settings: Settings) -> bytes:
    """The key of the hashes; made once, and of two processes that make one at once the first one's
    stays.
    """
    path = settings.keys_dir / "log.key"
    if not path.exists():
        _create(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise ServingError(
            f"{path} holds {len(key)} bytes and must hold {KEY_BYTES}. Put the right key back; a"
            " new one matches no older row."
        )
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Of two processes that make the key at once, one wins for both.
    with suppress(FileExistsError):
        write(path, secrets.token_bytes(KEY_BYTES), durable=True, replace=False, mode=0o600)


class Redaction:
    """Applies the privacy marks of one use case.

    `marked` maps each marked column to `hash` or `drop`.
    """

    def __init__(self, settings: Settings, use_case: UseCase) -> None:
        names = [
            use_case.id_column,
            *use_case.serving.entity_keys,
            *(field.name for field in use_case.serving.request_fields),
        ]
        self.use_case = use_case
        self.marked = {name: mark for name in names if (mark := use_case.privacy(name)) != "clear"}
        self._key = log_key(settings) if "hash" in self.marked.values() else b""

    def hashed(self, column: str, value: Any) -> str | None:
        """The text that stands for a value of a column."""
        if value is None:
            return None
        # As it would stand in the log: times are text there.
        text = value if isinstance(value, str) else orjson.dumps(value).decode().strip('"')
        message = f"{self.use_case.name}\0{column}\0{text}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:HASH_CHARACTERS]

    def cover(self, rows: Sequence[LoggedPrediction]) -> list[LoggedPrediction]:
        """The rows as they may be written down."""
        if not self.marked:
            return list(rows)
        return [self._covered(row) for row in rows]

    def _covered(self, row: LoggedPrediction) -> LoggedPrediction:
        request = {
            name: self.hashed(name, value) if name in self.marked else value
            for name, value in row.request.items()
            if self.marked.get(name) != "drop"
        }
        return replace(row, request=request, target_id=self._covered_id(row.target_id))

    def _covered_id(self, value: str | int | None) -> str | int | None:
        mark = self.marked.get(self.use_case.id_column)
        if mark == "hash":
            return self.hashed(self.use_case.id_column, value)
        return None if mark == "drop" else value

    def lift(self, tables: TableStore, log: pl.DataFrame) -> pl.DataFrame:
        """Rows of the log with their marked columns as the entity table holds them, found by the
        id; for programs that hold the key.

        Null where the id is not in the entity table, was not given or is dropped. Same rows, same
        order, the columns as if nothing were marked.
        """
        if not self.marked:
            return log
        plain = plain_schema(self.use_case)
        identifier = self.use_case.id_column
        remaining = log.drop(
            [name for name in self.marked if name in log.columns and name != identifier]
        )
        if self.marked.get(identifier) == "drop" or log.height == 0:
            decrypted = remaining.with_columns(
                pl.lit(None, dtype=plain[name]).alias(name) for name in self.marked
            )
            return decrypted.select(list(plain))
        entities = self._entities(tables, log)
        joined = remaining.join(
            entities, left_on=identifier, right_on="__key", how="left", maintain_order="left"
        )
        if self.marked.get(identifier) == "hash":
            joined = joined.with_columns(pl.col("__id").alias(identifier))
        return joined.select(list(plain))

    def _entities(self, tables: TableStore, log: pl.DataFrame) -> pl.DataFrame:
        """`__key` (the id as the log holds it), `__id` and the marked columns, one row per id, of
        the entity rows that the log may mean.
        """
        use_case, identifier = self.use_case, self.use_case.id_column
        names = list(dict.fromkeys([identifier, *self.marked]))
        first, last = log[use_case.event_time].min(), log[use_case.event_time].max()
        window = pl.col(use_case.event_time).is_between(
            pl.lit(_moment(first)), pl.lit(_moment(last))
        )
        rows = tables.read(
            use_case.entity_table, columns=[*names, use_case.event_time], where=window
        ).unique(identifier, keep="first")
        keys = rows[identifier].to_list()
        if self.marked.get(identifier) == "hash":
            keys = [self.hashed(identifier, value) for value in keys]
        others = [name for name in self.marked if name != identifier]
        return rows.select(
            pl.Series("__key", keys, dtype=log.schema[identifier]),
            pl.col(identifier).alias("__id"),
            *others,
        )


def _moment(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"an event time must be a datetime, not {value!r}")
    return value


def plain_schema(use_case: UseCase) -> dict[str, Any]:
    """`log_schema` as if no column were marked."""
    table = use_case.table(use_case.entity_table)
    columns = tuple(column.model_copy(update={"privacy": "clear"}) for column in table.columns)
    others = tuple(other for other in use_case.tables if other.name != table.name)
    return log_schema(
        use_case.model_copy(
            update={"tables": (table.model_copy(update={"columns": columns}), *others)}
        )
    )
