"""Every version of every data set, as one row of the Delta table `data_sets/versions`: what it was
made from, and which rows came out.

A version is found by its recipe: the same question to the same versions of the same tables is never
joined twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from include.errors import DataError, TableNotFound
from include.features import retrieval
from include.features.views import View
from include.interval import Interval
from include.spec import DataSet
from include.tables.ledger import Ledger
from include.tables.store import TIMESTAMP, TableStore, TableVersion, frame_digest

TABLE = "data_sets/versions"
DESCRIPTIVE = {"description", "owner", "licence", "purpose", "limits", "sensitivity", "golden"}
SCHEMA: dict[str, Any] = {
    "data_set": pl.String,
    "table": pl.String,
    "version": pl.Int64,
    "digest": pl.String,
    "rows": pl.Int64,
    "window_start": TIMESTAMP,
    "window_end": TIMESTAMP,
    "definition": pl.String,
    "recipe": pl.String,
    "sources_json": pl.String,
    "counts_json": pl.String,
    "built_by": pl.String,
}
_VIEWS = TypeAdapter(tuple[View, ...])


@dataclass(frozen=True)
class Recipe:
    """What a version is made of. `definition` digests what is asked (columns, filters, views),
    `digest` that with tables and rows.

    `sources` are the tables at the versions that are read.
    """

    definition: str
    digest: str
    window: Interval
    sources: dict[str, int]

    @classmethod
    def of(
        cls,
        data: DataSet,
        views: tuple[View, ...],
        sources: Mapping[str, int],
        window: Interval,
        set_aside: pl.Series | None,
    ) -> Recipe:
        """`set_aside` are the ids that stay out. The code that joins is part of the recipe too."""
        question = {
            "data_set": data.model_dump(mode="json", exclude=DESCRIPTIVE),
            "views": json.loads(_VIEWS.dump_json(views, exclude={"__all__": {"types"}})),
        }
        definition = _sha256(json.dumps(question, sort_keys=True))
        excluded = (
            "" if set_aside is None else _sha256("\n".join(sorted(map(str, set_aside.to_list()))))
        )
        ingredients = [
            definition,
            window.as_json(),
            dict(sorted(sources.items())),
            excluded,
            _code(),
        ]
        return cls(
            definition, _sha256(json.dumps(ingredients, sort_keys=True)), window, dict(sources)
        )


@dataclass(frozen=True)
class DataSetVersion:
    """One version: the Delta table and its version, the digest of its rows, the recipe, and who
    built it first.
    """

    data_set: str
    table: str
    version: int
    digest: str
    rows: int
    window: Interval
    definition: str
    recipe: str
    sources: dict[str, int]
    counts: dict[str, int]
    built_by: str

    @property
    def name(self) -> str:
        """`<table>@<version>`, as people write it."""
        return f"{self.table}@{self.version}"

    @classmethod
    def of(
        cls,
        data: DataSet,
        recipe: Recipe,
        written: TableVersion,
        digest: str,
        counts: Mapping[str, int],
        *,
        built_by: str,
    ) -> DataSetVersion:
        """The version that has just been written."""
        return cls(
            data_set=data.name,
            table=written.name,
            version=written.version,
            digest=digest,
            rows=written.rows,
            window=recipe.window,
            definition=recipe.definition,
            recipe=recipe.digest,
            sources=recipe.sources,
            counts=dict(counts),
            built_by=built_by,
        )

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> DataSetVersion:
        """Back from a row of the table."""
        plain = {
            name: row[name]
            for name in (
                "data_set",
                "table",
                "version",
                "digest",
                "rows",
                "definition",
                "recipe",
                "built_by",
            )
        }
        window = Interval(row["window_start"], row["window_end"])
        return cls(
            **plain,
            window=window,
            sources=json.loads(row["sources_json"]),
            counts=json.loads(row["counts_json"]),
        )

    def as_row(self) -> dict[str, Any]:
        """The row of the table."""
        plain = {name: getattr(self, name) for name in SCHEMA if hasattr(self, name)}
        bounds = {"window_start": self.window.start, "window_end": self.window.end}
        return {
            **plain,
            **bounds,
            "sources_json": json.dumps(self.sources, sort_keys=True),
            "counts_json": json.dumps(self.counts),
        }


def find(tables: TableStore, data: DataSet, recipe: Recipe) -> DataSetVersion | None:
    """The version that this recipe gave before, if its rows are still those that were recorded."""
    for recorded in versions(tables, data.name):
        if recorded.recipe == recipe.digest and _intact(tables, recorded):
            return recorded
    return None


def record(tables: TableStore, version: DataSetVersion) -> DataSetVersion:
    """Add the version's row; the same version of the same recipe is recorded once."""
    ledger = Ledger(tables, TABLE, SCHEMA, key=("recipe", "table", "version", "digest"))
    ledger.add(pl.DataFrame([version.as_row()], schema=SCHEMA))
    return version


def versions(tables: TableStore, data_set: str | None = None) -> list[DataSetVersion]:
    """All recorded versions (of one data set) by window, table and version."""
    if not tables.exists(TABLE):
        return []
    frame = tables.read(TABLE, where=None if data_set is None else pl.col("data_set") == data_set)
    return [
        DataSetVersion.from_row(row)
        for row in frame.sort("data_set", "window_end", "table", "version").to_dicts()
    ]


def version_named(tables: TableStore, name: str) -> DataSetVersion:
    """The version `<table>@<version>`, or the newest of a data set or a table given without one.

    Raises `DataError` with what there is.
    """
    requested, _, number = name.partition("@")
    recorded = versions(tables)
    matches = [
        entry
        for entry in recorded
        if requested in (entry.table, entry.data_set) and number in ("", str(entry.version))
    ]
    if not matches:
        there = sorted({entry.name for entry in recorded})
        raise DataError(
            f"There is no data-set version {name!r}; there are"
            f" {there or 'none yet: a training builds the first'}."
        )
    return matches[-1]


def _intact(tables: TableStore, recorded: DataSetVersion) -> bool:
    """Whether the rows can be read and are those that were recorded."""
    try:
        return (
            frame_digest(tables.read(recorded.table, version=recorded.version)) == recorded.digest
        )
    except (TableNotFound, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False


def _code() -> str:
    """Digest of the code that selects and joins: when it changes, nothing that it made before is
    taken over.
    """
    files: Sequence[Path] = (Path(str(retrieval.__file__)), Path(__file__).with_name("snapshot.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
