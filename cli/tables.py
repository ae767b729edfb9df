"""What commands print for people: tables that read at 80 columns, and in a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

FILE_CHARACTERS = 170
VALUE_CHARACTERS = 44
INDENT = "  "


def console() -> Console:
    """A terminal's own width or that of COLUMNS; a file gets lines wide enough to read."""
    terminal = Console(highlight=False)
    if terminal.is_terminal or os.environ.get("COLUMNS"):
        return Console(highlight=False, width=shutil.get_terminal_size().columns)
    return Console(width=FILE_CHARACTERS, highlight=False)


def print_table(
    title: str, headings: Sequence[str], rows: Iterable[Sequence[Any]], *, nothing: str = "nothing"
) -> None:
    """A table; where there is no row, its title and `nothing`.

    A table that is too wide becomes a block of lines for each row, so that nothing is cut or broken
    within a word.
    """
    cells = [[cell(value) for value in row] for row in rows]
    output = console()
    if not cells:
        output.print(f"{title}: {nothing}", markup=False)
        return
    table = Table(*headings, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for row in cells:
        table.add_row(*row)
    if output.measure(table).maximum <= output.width and _natural(headings, cells) <= output.width:
        output.print(table)
    else:
        _print_blocks(output, title, headings, cells)


def _natural(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    widths = (max(map(len, column)) for column in zip(headings, *rows, strict=True))
    return sum(width + len(INDENT) for width in widths)


def _print_blocks(
    output: Console, title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    output.print(title, style="italic", markup=False)
    width = max(map(len, headings[1:]), default=0)
    for row in rows:
        output.print(f"{INDENT}{row[0]}", style="bold", markup=False, soft_wrap=True)
        for heading, text in zip(headings[1:], row[1:], strict=True):
            if text != "-":
                output.print(
                    f"{INDENT * 2}{heading:<{width}}  {text}", markup=False, soft_wrap=True
                )


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """A title, and a line for each fact: its name and all of its value."""
    output = console()
    output.print(title, style="bold", markup=False)
    for name, value in facts.items():
        text = "-" if value is None or value == "" else value
        output.print(f"{INDENT}{name:<12}{text}", soft_wrap=True, markup=False)


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
