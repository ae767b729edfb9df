"""The page of the data: data sets, source tables and feature views with their columns, in HTML of
one file, without a script or anything from elsewhere, in the look of the other pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from include.discovery.columns import ColumnFacts
from include.discovery.drawing import MORE_STYLE, over_time, picture
from include.discovery.facts import Catalogue, Refused, Source, read_catalogue
from include.files import write
from include.interval import Interval
from include.monitoring.overview.drawing import number
from include.monitoring.overview.parts import cards, document, rows_of
from include.reports import share
from include.settings import Settings
from include.spec import UseCase

PAGE_FILE = "index.html"
MOST_VERSIONS, MOST_MODELS, MOST_REFUSED = 20, 8, 12
ABOUT = (
    "Source tables, features and data sets of this home: what they are, what is there of them, and"
    " who uses them."
)
HIDDEN = (
    "Of a column that identifies a row, that a use case hashes or drops in its log, or of data that"
    " is confidential or about persons, neither values nor bounds, means and quantiles are shown:"
    " only how many are missing."
)


def page_path(settings: Settings) -> Path:
    """`reports/data/index.html`."""
    return settings.reports_dir / "data" / PAGE_FILE


def write_page(
    settings: Settings,
    valid: Mapping[str, UseCase],
    names: Sequence[str] = (),
    *,
    unread: Iterable[str] = (),
    path: Path | None = None,
) -> Path:
    """Write the page of everything, or of what belongs to `names`; where it lies.

    Raises `SpecError` for a name that nothing has.
    """
    target = path or page_path(settings)
    write(target, page(read_catalogue(settings, valid, names, unread)))
    share(settings, target)
    return target


def page(catalogue: Catalogue) -> str:
    """The whole page."""
    sources = (*catalogue.tables, *catalogue.views)
    unread = "".join(
        f'<p class="bad">Left out, it cannot be loaded: {escape(reason)}</p>'
        for reason in catalogue.unread
    )
    body = (
        _summary(catalogue),
        unread,
        f'<p class="faint">{HIDDEN}</p>',
        _index(catalogue),
        *(_data_set(part, sources) for part in catalogue.data_sets),
        *(_source(part) for part in sources),
        _all_columns(sources),
    )
    return document("Data", ABOUT, "".join(body), MORE_STYLE)


def anchor(*names: str) -> str:
    """The id of a part of the page, of letters, digits and hyphens."""
    return "-".join(re.sub(r"\W+", "-", name) for name in names)


def _summary(catalogue: Catalogue) -> str:
    sources = (*catalogue.tables, *catalogue.views)
    until = [part.until for part in sources if part.until is not None]
    refused = sum(not item.published_since for part in sources for item in part.refused)
    versions = sum(len(part["versions"]) for part in catalogue.data_sets)
    return cards(
        [
            ("Data sets", f"{len(catalogue.data_sets)}", f"{versions} versions"),
            ("Source tables", f"{len(catalogue.tables)}", _filled(catalogue.tables)),
            ("Feature views", f"{len(catalogue.views)}", _filled(catalogue.views)),
            ("Columns", f"{sum(len(part.columns) for part in sources)}", ""),
            (
                "Newest rows",
                f"{max(until):%Y-%m-%d}" if until else "none yet",
                "the end of the newest interval",
            ),
            (
                "Refused intervals",
                f'<span class="bad">{refused}</span>' if refused else "none",
                "and not published since",
            ),
        ]
    )


def _filled(sources: Sequence[Source]) -> str:
    empty = sum(not part.rows for part in sources)
    return "each with rows" if not empty else f"{empty} without a row"


def _index(catalogue: Catalogue) -> str:
    rows = [
        (
            _link("data set", part["name"]),
            "data set",
            escape(_entry(part, "description")),
            escape(_entry(part, "owner")),
            escape(_entry(part, "sensitivity")),
            f"{part['versions'][-1]['rows']:,}" if part["versions"] else "none",
            f"{part['versions'][-1]['window']['end'][:10]}" if part["versions"] else "-",
        )
        for part in catalogue.data_sets
    ] + [
        (
            _link(part.kind, part.name),
            part.kind,
            escape(part.description),
            escape(part.owner),
            part.sensitivity,
            f"{part.rows:,}" if part.rows is not None else "none",
            f"{part.until:%Y-%m-%d}" if part.until is not None else "-",
        )
        for part in (*catalogue.tables, *catalogue.views)
    ]
    if not rows:
        return (
            "<p><b>No use case is declared.</b> <code>.venv/bin/flightdeck new-use-case NAME</code>"
            " writes one.</p>"
        )
    headings = ("name", "kind", "what", "owner", "sensitivity", "rows", "until")
    find = (
        'Every column by its name: <a href="#all-columns">all columns</a>. The search of the'
        " browser finds every name and description on this page."
    )
    return f'<h2>What there is</h2><p>{find}</p><div class="index">{rows_of(headings, rows)}</div>'


def _entry(part: Mapping[str, Any], field: str) -> str:
    return str(part["entry"][field] or "not declared in this checkout")


def _data_set(part: Mapping[str, Any], sources: Sequence[Source]) -> str:
    declared = part["declaration"]
    head = f'<h2 id="{anchor("data set", part["name"])}">Data set {escape(part["name"])}</h2>'
    if declared is None:
        about = "<p>Not declared in this checkout any more: its versions stay.</p>"
    else:
        there = {(item.kind, item.name) for item in sources}
        views = sorted({reference.partition(":")[0] for reference in declared["features"]})
        tables = (declared["entity_table"], declared["label_table"])
        facts = {
            "Description": escape(declared["description"]),
            "Purpose": escape(declared["purpose"]),
            "Owner": escape(declared["owner"]),
            "Licence": escape(declared["licence"] or "not declared"),
            "Sensitivity": escape(declared["sensitivity"]),
            "What it cannot tell": _list(map(escape, declared["limits"])) or "nothing is declared",
            "Rows are": escape(
                f"questions of {declared['entity_table']} at {declared['event_time']}"
                + "".join(f", where {condition}" for condition in declared["filters"])
            ),
            "Comes from": ", ".join(
                [_link("source table", name, there) for name in dict.fromkeys(tables)]
                + [_link("feature view", name, there) for name in views]
            ),
            "Labels": escape(", ".join(declared["label_columns"])),
            "Trained on by": escape(", ".join(part["used_by"])),
        }
        about = _facts(facts)
    return head + about + _versions(part["versions"])


def _versions(versions: Sequence[Mapping[str, Any]]) -> str:
    if not versions:
        return '<p class="none">No version yet: a training builds the first.</p>'
    rows = [
        (
            escape(f"{item['table']}@{item['version']}"),
            f"{item['window']['start'][:10]} to {item['window']['end'][:10]}",
            f"{item['rows']:,}",
            f"<code>{item['digest'][:12]}</code>",
            escape(_some(item["reached"])) or "-",
            _list(escape(f"{mark['text']} ({mark['author']})") for mark in item["annotations"]),
        )
        for item in reversed(versions[-MOST_VERSIONS:])
    ]
    left = len(versions) - len(rows)
    more = f'<p class="faint">{left} older ones are not shown.</p>' if left else ""
    headings = ("version", "window", "rows", "digest", "models", "what")
    return rows_of(headings, rows) + more


def _source(part: Source) -> str:
    facts = {
        "Description": escape(part.description) or "not described",
        "Owner": escape(part.owner),
        "Written by": escape(part.use_case),
        "Read by": escape(", ".join(part.read_by)),
        "Sensitivity": part.sensitivity,
        "Licence": escape(", ".join(part.licences)) or "not declared",
        "Identified by": escape(", ".join(part.keys)),
        "Rows": f"{part.rows:,}" if part.rows is not None else "none: the table is not there yet",
        "Intervals": _intervals(part),
        "Refused": _refused(part.refused),
        "Models": escape(_some(part.models)) or "no training came from it yet",
    }
    if part.kind == "feature view":
        facts = {name: value for name, value in facts.items() if name not in VIEW_LACKS}
    head = f'<h2 id="{anchor(part.kind, part.name)}">{_kind(part)} {escape(part.name)}</h2>'
    return head + _facts(facts) + _columns(part)


VIEW_LACKS = ("Identified by", "Refused")
"""Refused rows never become features."""


def _kind(part: Source) -> str:
    return part.kind.capitalize()


def _intervals(part: Source) -> str:
    if not part.intervals:
        return (
            "none with statistics"
            if part.rows
            else "none: <code>.venv/bin/flightdeck backfill"
            f" {escape(part.use_case)} --from DATE --to DATE</code> ingests"
        )
    first = part.intervals[0].start
    text = f"{len(part.intervals)}, from {first:%Y-%m-%d} to {part.until:%Y-%m-%d}"
    if not part.gaps:
        return f"{text}, without a gap"
    return f'{text}; <span class="bad">nothing of {_spans(part.gaps)}</span>'


def _spans(gaps: Sequence[Interval]) -> str:
    return ", ".join(f"{gap.start:%Y-%m-%d} to {gap.end:%Y-%m-%d}" for gap in gaps)


def _refused(refused: Sequence[Refused]) -> str:
    if not refused:
        return "none"
    lines = []
    for item in refused[-MOST_REFUSED:]:
        label = item.label.replace("_", " to ").replace("T00-00", "")
        if item.published_since:
            lines.append(f"{escape(label)}: refused once, published since")
            continue
        rules = escape(", ".join(item.rules)) or "its report is not there any more"
        lines.append(f'<span class="bad">{escape(label)}</span>: {rules}')
    left = len(refused) - len(lines)
    return _list([*lines, *([f"and {left} before"] if left else [])])


def _columns(part: Source) -> str:
    if not part.columns:
        return (
            '<p class="none">No feature is known of it: feature_repo does not define it, or is'
            " refused.</p>"
        )
    rows = [_column(part, column) for column in part.columns]
    headings = ("column", "missing", "distribution", "over time", "used as")
    if part.kind == "feature view":
        headings = ("feature", *headings[1:])
    return f'<div class="columns">{rows_of(headings, rows)}</div>'


def _column(part: Source, column: ColumnFacts) -> Sequence[str]:
    used = _list(map(escape, column.used_by))
    change = f'<p class="faint">{escape(column.change)}</p>' if column.change else ""
    name = f'<b id="{anchor(part.kind, part.name, column.name)}">{escape(column.name)}</b>'
    return (
        f"{name} <small>{escape(column.type)}</small><p>{escape(column.description)}</p>",
        number(column.missing, percent=True),
        picture(column),
        over_time(column) + change,
        used or '<span class="faint">no input, key or label</span>',
    )


def _all_columns(sources: Sequence[Source]) -> str:
    entries = sorted(
        (column.name, part.name, part.kind, column.type, column.description, column.used_by)
        for part in sources
        for column in part.columns
    )
    if not entries:
        return ""
    rows = [
        (
            f'<a href="#{anchor(kind, place, name)}">{escape(name)}</a>',
            escape(place),
            kind,
            kind_of_value,
            escape(about),
            escape("; ".join(used)) or "-",
        )
        for name, place, kind, kind_of_value, about, used in entries
    ]
    headings = ("column", "of", "kind", "type", "what", "used as")
    return f'<h2 id="all-columns">All columns</h2>{rows_of(headings, rows)}'


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts.items())
    return f'<table class="facts">{rows}</table>'


def _link(kind: str, name: str, there: Iterable[tuple[str, str]] | None = None) -> str:
    """To a part of this page, where it is on it."""
    if there is not None and (kind, name) not in there:
        return escape(name)
    return f'<a href="#{anchor(kind, name)}">{escape(name)}</a>'


def _some(models: Sequence[str]) -> str:
    left = len(models) - MOST_MODELS
    shown = ", ".join(models[-MOST_MODELS:])
    return f"{shown} and {left} before" if left > 0 else shown


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
