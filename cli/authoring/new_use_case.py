"""The command `new-use-case`: four files from the rows of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import polars as pl
import typer

from cli.authoring.cadence import Cadence, cadence
from cli.authoring.files import removal, require_new, texts, write_files
from cli.authoring.measured import measured_limits, use_case_of
from cli.authoring.origin import named_key, rows_of, source_of
from cli.authoring.profile import Profile, profile
from cli.authoring.proposal import Problem, Roles, problem, roles
from cli.authoring.remarks import has_words, remarks
from cli.authoring.specification import specification
from cli.platform.state import running_settings
from cli.runs.verdict import print_folded
from include.errors import SpecError
from include.features.entities import SharedEntity, entity_by_key
from include.settings import PROJECT_ROOT
from include.spec import NAME_PATTERN, CsvSource, Source, SqlSource


def new_use_case(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as house_rents.")],
    origin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="SOURCE",
            help="A Parquet or CSV file or folder, a Delta table, or a database's URL.",
        ),
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="What is to be predicted.")],
    time: Annotated[str, typer.Option(metavar="COLUMN", help="When a row's question was asked.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN[,COLUMN]",
            help="What identifies a row: one column, or several that do together, of which one is"
            " made. Proposed if not named.",
        ),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Whom features are about; proposed if not named."),
    ] = None,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="The table, of a database.")
    ] = None,
    null: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A text of a CSV file that stands for no value, beside an empty one and NA;"
            " once for each.",
        ),
    ] = None,
) -> None:
    """Write the four files of a new use case, with limits proposed from the rows of a source.

    Each proposal says which figure it comes from. Nothing is overwritten.
    """
    if not NAME_PATTERN.match(name):
        raise SpecError(f"NAME is {name!r}; it must match {NAME_PATTERN.pattern}.")
    require_new(PROJECT_ROOT, name)
    source, arguments = source_of(name, origin, table, null or (), PROJECT_ROOT)
    rows, identity, parts_of_key = named_key(rows_of(source), key or ())
    if parts_of_key:
        source = source.model_copy(update={"key_from": parts_of_key})
        arguments["key_from"] = parts_of_key
    proposed = propose(
        name, rows, source, arguments, label=label, time=time, key=identity, entity=entity
    )
    parts, kind = proposed.roles, proposed.problem
    about = entity_by_key(
        running_settings(), parts.entity, proposed.profile.column(parts.entity, "--entity").type
    )
    written = texts(
        name, proposed.profile, parts, kind, proposed.cadence, proposed.spec, entity_there=about
    )
    made = write_files(PROJECT_ROOT, name, written)
    _report(name, [str(path.relative_to(PROJECT_ROOT)) for path in made], proposed, source, about)


def _report(
    name: str,
    made: Sequence[str],
    proposed: Proposed,
    source: Source,
    about: SharedEntity | None,
) -> None:
    for path in made:
        print(f"Wrote {path}.")
    parts, measured = proposed.roles, proposed.profile
    print(
        f"{proposed.problem.kind} of {parts.label!r} from {measured.rows.height:,} rows: a row is"
        f" {parts.key!r}, asked at {parts.time!r}, about {parts.entity!r}."
    )
    for remark in remarks(measured, parts, proposed.cadence, source):
        print_folded("", remark)
    if about is not None:
        print_folded(
            "",
            f"{parts.entity} is the key of the entity {about.name}, which is used again; features"
            f" about it that others compute: flightdeck features entities {about.name}",
        )
    if has_words(measured):
        print(f"To do it over, first: {removal(made)}")
    if isinstance(source, SqlSource):
        print(f"Set {source.url_variable} to the database's URL wherever it runs.")
    print(f"Read the files, then run: .venv/bin/flightdeck check {name}")


@dataclass(frozen=True)
class Proposed:
    """What is proposed of a source, and the text of spec.py that says so."""

    profile: Profile
    roles: Roles
    problem: Problem
    cadence: Cadence
    spec: str


def propose(
    name: str,
    rows: pl.DataFrame,
    source: Source,
    arguments: dict[str, object],
    *,
    label: str,
    time: str,
    key: str | None = None,
    entity: str | None = None,
) -> Proposed:
    """The specification of a use case over `rows`, which `source`, declared with `arguments`, gave:
    first with the defaults, then with the limits that the rows' own intervals need.

    Raises `DataError` naming the option that the rows do not fit.
    """
    measured = profile(rows, texts=isinstance(source, CsvSource))
    parts = roles(measured, label=label, time=time, key=key, entity=entity)
    kind = problem(measured, label)
    runs = cadence(measured, time)
    described = (name, measured, parts, kind, runs)
    origin = (type(source).__name__, arguments)
    limits = measured_limits(use_case_of(specification(*described, origin)), measured)
    return Proposed(measured, parts, kind, runs, specification(*described, origin, limits))
