"""The archive's page for a browser: one file of HTML, without a script or anything from elsewhere.

Links lead to the files beside it, once the archive is unpacked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from include.evidence.assessment import Assessed, Assessment
from include.evidence.records import Evidence, State
from include.evidence.requirements import FRAMEWORKS, KINDS
from include.monitoring.overview.style import STYLE
from include.verdict import Finding

STATES: tuple[State, ...] = ("present", "partly", "missing")
MOST_FILES, MOST_FACTS = 8, 12
MODEST = (
    "Each line says what is evidence for a requirement, and whether a record of this version and"
    " period exists. Whether the requirement is met is for people to judge."
)
NO_ROWS = (
    "No row of the inference log, no row of the data and no package of the model is in this"
    " archive: only counts, digests and gaps. What was left out is listed in left-out.json with its"
    " SHA-256 and its place. Names of people who decided are in it."
)
MORE_STYLE = """
.present, .partly, .missing { font-weight: 600; white-space: nowrap; }
.present { color: var(--second); } .partly { color: var(--estimated); }
.missing { color: var(--alarm); } ul { margin: .3rem 0; padding-left: 1.2rem; }
.findings { border-left: 4px solid var(--alarm); padding-left: .8rem; }
td { overflow-wrap: anywhere; } td.state { width: 6rem; } td.what { width: 34%; }
.kind { border-top: 1px solid var(--edge); padding: .4rem 0; } .kind h3 { font-size: 1rem;
  margin: .3rem 0; } code { font-size: .85em; overflow-wrap: anywhere; }
@media (max-width: 45rem) { table, tbody, tr, td { display: block; } thead { display: none; }
  td.state, td.what { width: auto; } tr { border-bottom: 1px solid var(--edge); padding: .4rem 0; }
  td { border: 0; padding: .1rem 0; } }
"""


def page(about: Mapping[str, Any], assessment: Assessment) -> str:
    """The whole page."""
    title = f"Evidence for {about['use_case']} version {about['version']}"
    body = "".join(
        (
            f"<h1>{escape(title)}</h1>",
            _about(about),
            f"<p>{escape(MODEST)}</p><p>{escape(NO_ROWS)}</p>",
            _findings(assessment.findings),
            _counts(assessment),
            *(_framework(name, assessment) for name in FRAMEWORKS),
            "<h2>Evidence by kind</h2>",
            *(_kind(part) for part in assessment.evidence.values()),
            _check(),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{STYLE}{MORE_STYLE}</style></head><body>{body}</body></html>\n"
    )


def about_lines(about: Mapping[str, Any]) -> dict[str, str]:
    """What the archive is about, for people."""
    head = about["ledger_head"]
    return {
        "use case": f"{about['title']} ({about['use_case']})",
        "version": f"{about['version']}, digest {about['digest'][:12]}",
        "period": about["period_text"],
        "collected": f"{about['collected_at'][:16].replace('T', ' ')} UTC by"
        f" {about['collected_by']}",
        "environment": about["environment"],
        "ledger": "no row" if head is None else f"row {head['number']}, {head['hash'][:12]}",
    }


def counts(assessment: Assessment, framework: str) -> dict[State, int]:
    """How many requirements of a framework have which state."""
    states = [
        item.state for item in assessment.requirements if item.requirement.framework == framework
    ]
    return {state: states.count(state) for state in STATES}


def _about(about: Mapping[str, Any]) -> str:
    parts = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in about_lines(about).items()
    )
    return f"<dl>{''.join(parts)}</dl>"


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return "<h2>Findings</h2><p>None: the records that were looked at contradict nothing.</p>"
    lines = _list(f"<b>{escape(item.subject)}</b>: {escape(item.reason)}" for item in findings)
    return f'<h2>Findings ({len(findings)})</h2><div class="findings">{lines}</div>'


def _counts(assessment: Assessment) -> str:
    rows = []
    for name in FRAMEWORKS:
        number = counts(assessment, name)
        shown = ", ".join(f"{number[state]} {_state(state)}" for state in STATES)
        rows.append(f"{escape(name)}: {shown}")
    return f"<h2>Requirements</h2>{_list(rows)}"


def _framework(name: str, assessment: Assessment) -> str:
    rows = "".join(
        _row(item, assessment.evidence)
        for item in assessment.requirements
        if item.requirement.framework == name
    )
    return (
        f"<h2>{escape(name)}</h2><table><thead><tr><th>requirement</th><th>state</th>"
        f"<th>evidence for it, and what is missing</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(item: Assessed, evidence: Mapping[str, Evidence]) -> str:
    requirement = item.requirement
    kinds = ", ".join(
        f'<a href="#{kind}">{escape(KINDS[kind])}</a> ({evidence[kind].state})'
        for kind in requirement.kinds
    )
    lacks = [
        f"missing: {escape(lack.what)} <span class=faint>({escape(lack.how)})</span>"
        for _, lack in item.lacks
    ]
    noted = [f"finding: {escape(part.subject)}, {escape(part.rule)}" for part in item.findings]
    return (
        f'<tr><td class="what"><b>{escape(requirement.clause)}</b> {escape(requirement.title)}</td>'
        f'<td class="state">{_state(item.state)}</td><td>{kinds}{_list((*lacks, *noted))}</td></tr>'
    )


def _kind(part: Evidence) -> str:
    files = [file.name for file in part.files]
    links = [f'<a href="{quote(name)}">{escape(name)}</a>' for name in files[:MOST_FILES]]
    if len(files) > MOST_FILES:
        links.append(f"and {len(files) - MOST_FILES} more")
    facts = [escape(fact) for fact in part.facts[:MOST_FACTS]]
    lacks = [
        f"missing: {escape(lack.what)}. <code>{escape(lack.how)}</code>" for lack in part.lacks
    ]
    left = [f"left out: {escape(item.name)}, {escape(item.why)}" for item in part.withheld[:3]]
    if len(part.withheld) > len(left):
        left.append(f"and {len(part.withheld) - len(left)} more in left-out.json")
    return (
        f'<div class="kind" id="{part.kind}"><h3>{escape(KINDS[part.kind])}: {_state(part.state)}'
        f"</h3>{_list((*facts, *lacks, *left))}<p>{', '.join(links)}</p></div>"
    )


def _check() -> str:
    return (
        "<h2>Whether it is whole</h2><p>manifest.json has the SHA-256 and the source of every file,"
        " signature.json its signature by the key that signs the house's packages,"
        " releases/ledger.json the signed chain of releases. All of it is checked by <code>"
        "flightdeck evidence verify FILE.zip --public-key signing.pub.pem</code>, which needs"
        " neither the platform nor its databases. Only a key that did not come in this archive says"
        " whose it is.</p>"
    )


def _state(state: State) -> str:
    return f'<span class="{state}">{state}</span>'


def _list(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{line}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""
