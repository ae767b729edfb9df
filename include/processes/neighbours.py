"""What the use cases of a checkout write, held against each other: a table has one writer.

Of two use cases that would write one table the one that has written it already goes on; where
neither has, both are refused, for nobody knows whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from include.catalogue import load_valid
from include.errors import SpecError
from include.settings import Settings
from include.spec import FeatureTable, Table, UseCase
from include.spec.base import folded, suggestion
from include.tables.completed import has_written, intervals_table
from include.tables.store import TableStore

RESERVED = ("landing", "quarantine", "data_sets", "lineage", "governance")
"""Folders of the table store that Flightdeck fills for all use cases."""
RAW = "raw/"


@dataclass(frozen=True)
class Place:
    """Something below the table store that a use case writes: in which field it says so, what it
    is called there, and the folder that it lies in.
    """

    use_case: str
    field: str
    name: str
    folder: str
    kind: Literal["table", "records", "data set"]

    @property
    def path(self) -> tuple[str, ...]:
        """The folder's parts, as a file system that tells neither case nor composition has them."""
        return tuple(folded(self.folder).split("/"))


class WrittenPlaces:
    """Everything that some use cases write, by where it lies: of a thousand of them, those that
    touch one place are found without looking at the others.
    """

    def __init__(self, use_cases: Mapping[str, UseCase]) -> None:
        self.use_cases = use_cases
        self._at: dict[tuple[str, ...], list[Place]] = {}
        self._below: dict[tuple[str, ...], list[Place]] = {}
        for use_case in use_cases.values():
            for place in places(use_case):
                path = place.path
                self._at.setdefault(path, []).append(place)
                for depth in range(1, len(path)):
                    self._below.setdefault(path[:depth], []).append(place)

    def overlapping(self, place: Place) -> Iterator[Place]:
        """What lies where the place lies, around it or inside it."""
        path = place.path
        for depth in range(1, len(path) + 1):
            yield from self._at.get(path[:depth], ())
        yield from self._below.get(path, ())


def clashes(use_case: UseCase, written: WrittenPlaces, settings: Settings) -> list[str]:
    """A line for every place that another use case writes too and that is not plainly this one's,
    and for every table of another that is not there as it is referred to.
    """
    tables = TableStore(settings.tables_uri)
    lines = [*_reserved(use_case), *_references(use_case, written.use_cases)]
    for ours in places(use_case):
        for theirs in written.overlapping(ours):
            if theirs.use_case != use_case.name:
                lines += _between(
                    use_case, written.use_cases[theirs.use_case], ours, theirs, tables
                )
    return list(dict.fromkeys(lines))


def require_alone(use_case: UseCase, settings: Settings) -> None:
    """Raise `SpecError` with all `clashes` between this use case and those of the checkout."""
    lines = clashes(use_case, WrittenPlaces(load_valid()[0]), settings)
    if lines:
        raise SpecError(f"{use_case.name}: " + "\n".join(lines))


def places(use_case: UseCase) -> list[Place]:
    """Everything that its specification makes the product write, but for what Flightdeck sees to by
    names of its own.
    """
    name = use_case.name
    made = [Place(name, "name", name, name, "records")]
    data = use_case.training_data.name
    if data != name:
        made.append(Place(name, "data_set", data, data, "data set"))
    for table in use_case.own_tables:
        made.append(Place(name, "tables", table.name, table.name, "table"))
        # What is landed and put aside of "raw/flights" is called flights.
        landed = f"landing/{table.name.removeprefix(RAW)}"
        made.append(Place(name, "tables", table.name, landed, "table"))
    return [
        *made,
        *(
            Place(name, "feature_tables", part.table, part.table, "table")
            for part in use_case.own_feature_tables
        ),
    ]


def _reserved(use_case: UseCase) -> Iterator[str]:
    for place in places(use_case):
        if place.folder == place.name and place.path[0] in RESERVED:
            yield (
                f"{place.field}: {place.name!r} lies in the folder {place.path[0]!r}, which"
                f" Flightdeck fills itself; call it otherwise (not {list(RESERVED)})"
            )
        # Its own records lie in the folder that is called like it.
        if place.kind == "table" and place.path[0] == use_case.name:
            yield (
                f"{place.field}: {place.name!r} lies in the folder {use_case.name!r}, where the use"
                f" case's own records lie; call it such as 'raw/{use_case.name}_rows'"
            )


def _between(
    use_case: UseCase, other: UseCase, ours: Place, theirs: Place, tables: TableStore
) -> Iterator[str]:
    if not _is_shared(use_case, other, ours, theirs) and not _is_established(tables, ours, theirs):
        yield _sentence(ours, theirs)


def _is_shared(use_case: UseCase, other: UseCase, ours: Place, theirs: Place) -> bool:
    """Whether both write it on purpose: a data set that both declare alike."""
    if "table" in (ours.kind, theirs.kind):
        return False
    return use_case.training_data == other.training_data


def _is_established(tables: TableStore, ours: Place, theirs: Place) -> bool:
    """Whether the first has written what the second has not."""
    return _wrote(tables, ours) and not _wrote(tables, theirs)


def _wrote(tables: TableStore, place: Place) -> bool:
    if place.kind == "table":
        return has_written(tables, place.use_case, place.name)
    return tables.exists(intervals_table(place.use_case))


def _sentence(ours: Place, theirs: Place) -> str:
    same = ours.folder == theirs.folder
    where = f"include/use_cases/{theirs.use_case}/spec.py"
    what = "writes it too" if same else f"writes {theirs.name!r}, which lies at the same place"
    if ours.kind == theirs.kind == "table":
        advice = (
            "a table has one writer: call one of them otherwise, or let one use case read the"
            f" other's ({_TABLE_OF[theirs.field]}.from_use_case({theirs.use_case!r}))"
        )
    elif ours.kind != "table" and theirs.kind != "table":
        advice = "name one DataSet object in both, or call one of them otherwise"
    else:
        advice = "call one of them otherwise"
    return (
        f"{ours.field}: {ours.name!r} of the use case {ours.use_case!r}: the use case"
        f" {theirs.use_case!r} {what} ({where}, {theirs.field}), and each would overwrite the"
        f" other's rows; {advice}"
    )


_TABLE_OF = {"tables": "Table", "feature_tables": "FeatureTable"}


def _references(use_case: UseCase, others: Mapping[str, UseCase]) -> Iterator[str]:
    """Tables of another use case are what that one declares."""
    shared: list[tuple[str, Table | FeatureTable]] = []
    shared.extend(("tables", table) for table in use_case.tables)
    shared.extend(("feature_tables", part) for part in use_case.feature_tables)
    for field, table in shared:
        if table.written_by is None:
            continue
        name = _name(table)
        writer = others.get(table.written_by)
        if writer is None:
            names = sorted(set(others) - {use_case.name})
            yield (
                f"{field}: {name!r} is written_by {table.written_by!r}, which is no use case that"
                f" can be loaded{suggestion(table.written_by, names)}"
            )
            continue
        written = {_name(part): part for part in _written(writer, field)}
        if name not in written:
            yield (
                f"{field}: {name!r} is written_by {writer.name!r}, which does not write"
                f" it{suggestion(name, written)}"
            )
        elif written[name].from_use_case(writer.name) != table:
            yield (
                f"{field}: {name!r} is not declared as {writer.name!r}, which writes it, declares"
                f" it; import that object from include.use_cases.{writer.name}.spec and declare"
                f" its from_use_case({writer.name!r})"
            )


def _written(use_case: UseCase, field: str) -> tuple[Table | FeatureTable, ...]:
    return use_case.own_tables if field == "tables" else use_case.own_feature_tables


def _name(table: Table | FeatureTable) -> str:
    return table.name if isinstance(table, Table) else table.table
