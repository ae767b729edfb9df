"""What commands print for people: tables that read at 80 columns, and in a file."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

FILE_CHARACTERS = 170
VALUE_CHARACTERS = 44
PROSE_CHARACTERS = 32
NAME_CHARACTERS = 12
INDENT = "  "


def console(file_width: int = FILE_CHARACTERS) -> Console:
    """A terminal's own width or that of COLUMNS; a file gets lines wide enough to read."""
    terminal = Console(highlight=False)
    if terminal.is_terminal or os.environ.get("COLUMNS"):
        return Console(highlight=False, width=shutil.get_terminal_size().columns)
    return Console(width=file_width, highlight=False)


def print_table(
    title: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    nothing: str = "nothing",
    prose: Collection[str] = (),
    file_width: int = FILE_CHARACTERS,
) -> None:
    """A table; where there is no row, its title and `nothing`. In a file its lines have at most
    `file_width` characters.

    A table that is too wide becomes a block of lines for each row, so that nothing is cut or broken
    within a word. The columns named by `prose` hold sentences: they are printed whole, folded over
    as many lines as they need.
    """
    cells = [
        [
            _whole(value) if name in prose else cell(value)
            for name, value in zip(headings, row, strict=True)
        ]
        for row in rows
    ]
    output = console(file_width)
    widths = [
        _least_width(name, texts, prose) for name, *texts in zip(headings, *cells, strict=True)
    ]
    if not cells:
        output.print(f"{title}: {nothing}", markup=False)
    elif sum(widths) + len(INDENT) * len(widths) <= output.width:
        output.print(_table(title, headings, widths, cells, prose))
    else:
        _print_blocks(output, title, headings, cells)


def _least_width(heading: str, texts: Sequence[str], prose: Collection[str]) -> int:
    """The characters that a column needs; one of sentences is content with a part of a line."""
    whole = max(map(len, (heading, *texts)))
    if heading not in prose:
        return whole
    words = (word for text in texts for word in text.split())
    return min(whole, max((PROSE_CHARACTERS, *map(len, words))))


def _table(
    title: str,
    headings: Sequence[str],
    widths: Sequence[int],
    rows: Sequence[Sequence[str]],
    prose: Collection[str],
) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, min_width=width, no_wrap=heading not in prose)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _print_blocks(
    output: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    output.print(title, style="italic", markup=False)
    width = max(map(len, headings[1:]), default=0)
    for row in rows:
        _print_folded(output, INDENT, row[0], style="bold")
        for heading, text in zip(headings[1:], row[1:], strict=True):
            if text != "-":
                _print_folded(output, f"{INDENT * 2}{heading:<{width}}  ", text)


def _print_folded(output: Console, head: str, text: str, style: str | None = None) -> None:
    """A text behind its head, the lines after the first below its beginning; a word that is longer
    than a line stays whole.
    """
    lines = textwrap.wrap(
        text,
        max(output.width - len(head), 1),
        break_long_words=False,
        break_on_hyphens=False,
    )
    for number, line in enumerate(lines or [""]):
        start = " " * len(head) if number else head
        output.print(f"{start}{line}", style=style, markup=False, soft_wrap=True)


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """A title, and a line for each fact: its name and all of its value."""
    output = console()
    output.print(title, style="bold", markup=False)
    width = max([NAME_CHARACTERS, *(len(name) + len(INDENT) for name in facts)])
    for name, value in facts.items():
        text = "-" if value is None or value == "" else value
        output.print(f"{INDENT}{name:<{width}}{text}", soft_wrap=True, markup=False)


def cell(value: Any) -> str:
    """A value in a few characters; a dash for none."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    text = str(value)
    return text if len(text) <= VALUE_CHARACTERS else f"{text[: VALUE_CHARACTERS - 3]}..."


def _whole(value: Any) -> str:
    """A sentence on one line; a dash for none."""
    return "-" if value is None else " ".join(str(value).split()) or "-"


def print_remarks(remarks: Sequence[Mapping[str, Any]]) -> None:
    """Every remark with what became of it."""
    replaced = {remark["replaces"] for remark in remarks}
    print_table(
        "Annotations",
        ("id", "written", "who", "text", "replaced"),
        (
            (
                remark["annotation_id"],
                remark["written_at"][:19],
                remark["author"],
                remark["text"],
                "yes" if remark["annotation_id"] in replaced else None,
            )
            for remark in remarks
        ),
        nothing="none",
    )
