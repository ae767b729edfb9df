"""Great Expectations' Data Docs as plain files: a page per table and an index that names every
failure, warning and note.

The pages are rendered by Great Expectations from its own results. Its templates fetch style sheets
and scripts from five hosts; those are taken out, so that a page shows the same without a network,
and asks nobody for anything.
"""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

# Scripts as a whole (without their libraries they only fail), and whatever a browser would fetch.
REMOTE = re.compile(
    r"<script\b.*?</script>|<(?:link|img)\b[^>]*https?://[^>]*>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)
REMOTE_STYLE = re.compile(
    r"@import\s+url\([^)]*https?://[^)]*\)\s*;?|url\([\"']?https?://[^)]*\)", re.IGNORECASE
)
REMOTE_LINK = re.compile(r"<a\b[^>]*https?://[^>]*>(.*?)</a>", re.DOTALL | re.IGNORECASE)
STYLE = """<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;
padding:0 1rem;color:#1d2733}
table{border-collapse:collapse;width:100%;margin:1rem 0}
td,th{border:1px solid #ccd3da;padding:.4rem .6rem;text-align:left;vertical-align:top}
.alert-danger,.refused{background:#fdeaea}.alert-success,.accepted{background:#e9f7ec}
.badge{padding:0 .4rem;border:1px solid #ccd3da}
.modal,#walkthrough,.navbar,.ge-walkthrough{display:none}.row{display:block}
.collapse{display:block}pre{white-space:pre-wrap}
.fa-check-circle::before{content:"passed"}.fa-times::before{content:"failed"}
.fa-exclamation-triangle::before{content:"error"}
body:has(#option2:checked) tr:has(>.hide-succeeded-validation-target-child),
body:has(#option2:checked) .hide-succeeded-validations-column-section-target-child{display:none}
</style>"""
"""Stands for the scripts and the fonts: the icons are words, and Great Expectations' own buttons
"Show All" and "Failed Only" (`option1`, `option2`) hide what its script would hide.
"""


def write_docs(
    folder: Path, title: str, results: Mapping[str, Any], verdict: Mapping[str, Any]
) -> Path:
    """Write `index.html` and one page per table of `results` (Great Expectations' validation
    results); returns the index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages = {}
    for table, result in results.items():
        page = folder / f"{table.replace('/', '_')}.html"
        page.write_text(_page(result), encoding="utf-8")
        pages[table] = page.name
    index = folder / "index.html"
    index.write_text(_index(title, pages, verdict), encoding="utf-8")
    return index


def _page(result: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer

        page = str(_view().render(ValidationResultsPageRenderer().render(result)))
    local = REMOTE_LINK.sub(r"\1", REMOTE_STYLE.sub("none", REMOTE.sub("", page)))
    return local.replace("</head>", f"{STYLE}</head>", 1)


@cache
def _view() -> Any:
    """Great Expectations' view, one for all pages: to compile its templates takes longer than to
    fill them, and each view compiles its own.
    """
    from great_expectations.render.view import DefaultJinjaPageView

    return DefaultJinjaPageView()


def _index(title: str, pages: Mapping[str, str], verdict: Mapping[str, Any]) -> str:
    decided = "accepted" if verdict["accepted"] else "refused"
    links = "".join(
        f'<li><a href="{name}">{html.escape(table)}</a></li>' for table, name in pages.items()
    )
    lists = "".join(
        f"<h2>{name.capitalize()}</h2><ul>{_items(verdict.get(name, []))}</ul>"
        for name in ("warnings", "notes")
        if verdict.get(name)
    )
    return (
        '<!doctype html><html lang="en"><head><meta'
        f' charset="utf-8"><title>{html.escape(title)}</title>{STYLE}</head>'
        f"<body><h1>{html.escape(title)}</h1><p"
        f' class="{decided}">The data was'
        f" {decided}.</p>{_failures(verdict['failures'])}{lists}<h2>Great"
        f" Expectations</h2><ul>{links}</ul></body></html>"
    )


def _failures(failures: Iterable[Mapping[str, Any]]) -> str:
    """A table of what failed, with one bad row each; nothing where nothing did."""
    columns = ("table", "column", "rule", "expected", "observed", "example")
    head = "".join(f"<th>{name}</th>" for name in columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{html.escape(str(failure[name] if failure[name] is not None else ''))}</td>"
            for name in columns
        )
        + "</tr>"
        for failure in failures
    )
    return f"<h2>Failures</h2><table><tr>{head}</tr>{rows}</table>" if rows else ""


def _items(entries: Iterable[object]) -> str:
    return "".join(f"<li>{html.escape(str(entry))}</li>" for entry in entries)
