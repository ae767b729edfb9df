"""The archive's page as Markdown that reads in a terminal of 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from include.evidence.assessment import Assessment
from include.evidence.page import (
    MODEST,
    MOST_FACTS,
    MOST_FILES,
    NO_ROWS,
    STATES,
    about_lines,
    counts,
)
from include.evidence.requirements import FRAMEWORKS, KINDS

WIDTH = 80


def text(about: Mapping[str, Any], assessment: Assessment) -> str:
    """The whole page."""
    lines = [f"# Evidence for {about['use_case']} version {about['version']}", ""]
    lines += [f"- {name}: {value}" for name, value in about_lines(about).items()]
    lines += ["", MODEST, "", NO_ROWS, "", f"## Findings ({len(assessment.findings)})", ""]
    lines += [f"- {item.subject}: {item.reason}" for item in assessment.findings] or [
        "None: the records that were looked at contradict nothing."
    ]
    for name in FRAMEWORKS:
        number = counts(assessment, name)
        shown = ", ".join(f"{number[state]} {state}" for state in STATES)
        lines += ["", f"## {name}", "", f"{shown}.", ""]
        lines += _requirements(name, assessment)
    lines += ["", "## Evidence by kind", *_kinds(assessment)]
    return "\n".join(folded for line in lines for folded in _folded(line)) + "\n"


def _requirements(framework: str, assessment: Assessment) -> Iterator[str]:
    for item in assessment.requirements:
        if item.requirement.framework != framework:
            continue
        yield f"- **{item.state}** {item.requirement.clause}: {item.requirement.title}"
        states = (f"{kind} ({assessment.evidence[kind].state})" for kind in item.requirement.kinds)
        yield f"  - evidence for it: {', '.join(states)}"
        for _, lack in item.lacks:
            yield f"  - missing: {lack.what} ({lack.how})"
        for part in item.findings:
            yield f"  - finding: {part.subject}, {part.rule}"


def _kinds(assessment: Assessment) -> Iterator[str]:
    for kind, part in assessment.evidence.items():
        yield ""
        yield f"### {kind}: {KINDS[kind]}: {part.state}"
        yield ""
        yield from (f"- {fact}" for fact in part.facts[:MOST_FACTS])
        yield from (f"- missing: {lack.what} ({lack.how})" for lack in part.lacks)
        yield from (f"- `{file.name}`" for file in part.files[:MOST_FILES])
        if len(part.files) > MOST_FILES:
            yield f"- and {len(part.files) - MOST_FILES} more files"
        if part.withheld:
            yield f"- left out: {len(part.withheld)} records, see left-out.json"


def _folded(line: str) -> list[str]:
    if not line.strip() or line.startswith("#"):
        return [line]
    indent = " " * (len(line) - len(line.lstrip()))
    hanging = f"{indent}  " if line.lstrip().startswith("- ") else indent
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
