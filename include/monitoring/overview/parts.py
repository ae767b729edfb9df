"""What every page that is one file of HTML consists of: the document, cards and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from include.monitoring.overview.style import STYLE

PROSE = ("what", "why")


def document(title: str, about: str, body: str, style: str = "") -> str:
    """The whole page: title and what it is about as text, `body` as HTML, `style` beside the
    house's own.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{STYLE}{style}</style></head><body><h1 dir="auto">{escape(title)}</h1>'
        f'<p class="faint" dir="auto">{escape(about)}</p>{body}</body></html>\n'
    )


def cards(facts: Iterable[tuple[str, str, str]]) -> str:
    """Cards beside each other: name, value and a small line below, all HTML."""
    shown = (
        f"<div><dt>{name}</dt><dd>{value}<small>{more}</small></dd></div>"
        for name, value, more in facts
    )
    return f"<dl>{''.join(shown)}</dl>"


def table(
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    most: int,
    nothing: str,
    note: str = "",
) -> str:
    """A heading and the first `most` rows, cells as HTML; `nothing` where there is none."""
    if not rows:
        return f'<h2>{title}</h2><p class="none">{nothing}</p>'
    left = len(rows) - most
    more = f'<p class="faint">{left} older ones are not shown.</p>' if left > 0 else ""
    about = f'<p class="faint">{note}</p>' if note else ""
    return f"<h2>{title}</h2>{about}{rows_of(headings, rows[:most])}{more}"


def rows_of(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself where the page is too narrow for it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    kinds = ['<td class="prose" dir="auto">' if name in PROSE else "<td>" for name in headings]
    body = "".join(
        "<tr>"
        + "".join(f"{kind}{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )
