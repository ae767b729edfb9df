"""What the command says of a source beside what it wrote: what was decided that its owner may want
otherwise.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cli.authoring.cadence import Cadence
from cli.authoring.profile import ColumnProfile, Profile
from cli.authoring.proposal import SHOWN_WORDS, Roles, numbers_but_for
from cli.authoring.specification import rows_beyond
from include.spec import CsvSource, Source


def remarks(profile: Profile, roles: Roles, cadence: Cadence, source: Source) -> Iterator[str]:
    """Sentences on columns that are numbers but for some words, on columns of the calendar, on the
    key that was made, and on rows that no interval holds.
    """
    if source.key_from:
        columns = ", ".join(source.key_from)
        yield f"{roles.key} is made of {columns} by the source (key_from): one column is the key."
    for column in profile.columns:
        if column.words:
            yield _words(column, roles, source)
    if roles.calendar:
        names = ", ".join(column.name for column in roles.calendar)
        yield (
            f"{names}: no input, because {roles.time} says it; spec.py has inputs that are read"
            " from that."
        )
    if cadence.beyond:
        yield rows_beyond(cadence)


def has_words(profile: Profile) -> bool:
    """Whether a column is numbers but for some words, so that it may be wanted otherwise."""
    return any(column.words for column in profile.columns)


def _words(column: ColumnProfile, roles: Roles, source: Source) -> str:
    name = column.name
    if name in roles.needed:
        what = "it was named or chosen as text"
    elif column in roles.others:
        what = "it is landed as text, and no input"
    else:
        what = "it is landed as text, and an input of categories"
    if not isinstance(source, CsvSource):
        remedy = "To have numbers, make the words null or numbers where the rows are written."
    elif len(column.words) > SHOWN_WORDS:
        remedy = "To have numbers, write empty values or numbers for the words into the file."
    else:
        options = " ".join(f"--null {shlex.quote(word)}" for word, _ in column.words)
        remedy = (
            f"To have numbers, do it over with {options} where that means that there is no value;"
            " where it means a number, write that into the file."
        )
    return f"{name}: {numbers_but_for(column)}; {what}. {remedy}"
