"""`GET /`: what serves here, for people, as one page of HTML without a script or anything from
elsewhere.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import datetime
from html import escape
from typing import Any

from include.stats.clustered import says_how_sure
from serving.contract.answers import ModelAnswer, ModelsAnswer, ModelStatus
from serving.contract.schema import RequestSchema
from serving.engine.runtime import Runtime
from serving.http.describing import describe_model
from serving.http.openapi import request_example
from serving.scoring.example import Example

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}
LINKS = (
    ("/docs", "Try it: every route, with examples"),
    ("/docs.json", "OpenAPI document"),
    ("/v1/models", "Status as JSON"),
    ("/metrics", "Prometheus metrics"),
    ("/readyz", "Readiness"),
)
STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #1a7f37; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --good: #57ab5a; --bad: #f47067; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin: 0 0 .25rem; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .75rem 0; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: #8882; border-radius: .4rem; padding: .75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: .85rem; user-select: all; }
code { overflow-wrap: anywhere; } p { margin: .4rem 0; }
.good { color: var(--good); } .bad { color: var(--bad); } .note { opacity: .7; font-size: .9rem; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .35rem; } }
"""


def front_page(
    runtime: Runtime, examples: Mapping[str, Example], address: str, *, asks_for_key: bool
) -> str:
    """Return the page; `address` is where the reader met the endpoint, such as
    `http://127.0.0.1:3000`.
    """
    models = runtime.models()
    sections = [
        _use_case(
            describe_model(runtime, name),
            _call(address, name, schema, examples.get(name), asks_for_key),
            examples.get(name),
        )
        for name, schema in runtime.schemas.items()
    ]
    return _page(_readiness(runtime.not_ready(), models), sections)


def starting_page() -> str:
    """Return the page of a process that has not read its use cases yet."""
    return _page('<p class="bad">The endpoint is starting. Load this page again in a moment.</p>')


def _page(head: str, sections: list[str] | None = None) -> str:
    links = "".join(f'<a href="{path}">{escape(text)}</a>' for path, text in LINKS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Flightdeck endpoint'
        '</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>Flightdeck endpoint</h1>{head}"
        f"<nav>{links}</nav>{''.join(sections or [])}</body></html>"
    )


def _readiness(not_ready: str | None, models: ModelsAnswer) -> str:
    if not_ready is not None:
        return f'<p class="bad">Not ready: {escape(not_ready)}.</p>'
    lost = sum(models.log.dropped_rows.values()) + sum(models.log.damaged_rows.values())
    missing = f" {lost} answered rows are missing from the log." if lost else ""
    return f'<p class="good">Ready: predictions are answered and logged.{missing}</p>'


def _use_case(about: ModelAnswer, call: str, example: Example | None) -> str:
    base = f"/v1/models/{about.status.use_case}"
    facts = [
        ("Serves", _serves(about.status)),
        *_model_facts(about),
        ("Owner", escape(about.owner)),
        (
            "More",
            f'<a href="{escape(base)}">inputs, model and limits as JSON</a>',
        ),
    ]
    listed = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return (
        f"<section><h2>{escape(about.title)}</h2><p>{escape(about.task)}</p><dl>{listed}</dl>"
        f"<pre>{escape(call)}</pre>{_note(about, example)}</section>"
    )


def _serves(status: ModelStatus) -> str:
    if status.version is None:
        text = '<span class="bad">no version yet</span>'
    else:
        digest = escape((status.digest or "")[:12])
        since = (
            "ready, loaded when it is asked"
            if status.since is None
            else f"since {_moment(status.since)}"
        )
        text = f'<b class="good">version {status.version}</b> {since} <code>{digest}</code>'
    if status.desired_version != status.version and status.desired_version is not None:
        text += f'; <span class="bad">version {status.desired_version} should serve</span>'
    if status.last_error:
        text += f'<br><span class="bad">{escape(status.last_error)}</span>'
    if not status.features_ready:
        text += '<br><span class="bad">the online store is not open</span>'
    return text


def _model_facts(about: ModelAnswer) -> list[tuple[str, str]]:
    if about.model is None:
        return []
    start, end = about.model.trained_on
    metrics = ", ".join(
        f"{name} {_number(value)}"
        for name, value in about.model.metrics.items()
        if not says_how_sure(name)
    )
    return [
        ("Model", escape(about.model.estimator)),
        ("Trained on", f"{_moment(start)} to {_moment(end)}"),
        ("Test split", escape(metrics)),
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() else f"{value:.4g}"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _note(about: ModelAnswer, example: Example | None) -> str:
    if example is None:
        text = (
            "The row shows the form only: a real one stands here while a model is loaded and its"
            " features can be read."
        )
    else:
        text = (
            "A real row of the model's test data, asked about at the moment of its newest features."
        )
        if example.flags:
            text += f" Its answer carries the flags {', '.join(example.flags)}."
    limit = f"{escape(text)} Up to {about.max_rows} rows a request"
    if about.model is not None and not about.model.explainable:
        return f'<p class="note">{limit}. The model in service cannot be asked for its reasons.</p>'
    return (
        f'<p class="note">{limit}; the same body under <code>/explain</code> gives the reasons'
        " too.</p>"
    )


def _call(
    address: str, name: str, schema: RequestSchema, example: Example | None, asks_for_key: bool
) -> str:
    """Return the call as a shell takes it."""
    body: dict[str, Any] = request_example(schema) if example is None else {"rows": [example.row]}
    key = ' \\\n  -H "X-API-Key: $API_KEY"' if asks_for_key else ""
    return (
        f"curl -s {shlex.quote(f'{address}/v1/models/{name}/predict')} \\\n"
        f"  -H 'Content-Type: application/json'{key} \\\n"
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
