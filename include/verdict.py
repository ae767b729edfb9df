"""The one shape of a judgement: findings, and the verdict that follows from them.

Whatever judges (the rules of data, the gates of a candidate, the checks of a package, monitoring)
makes a `Finding` per thing that it looked at; a `Verdict` is nothing but its findings. It fails
closed: one refused finding refuses, and so does a verdict in which nothing was judged at all.

The tables that other programs read name the same fields in their own words (a gate's row says
`threshold` where data says `expected`): `GATE_COLUMNS`, `DATA_COLUMNS` and `PACKAGE_COLUMNS` hold
those names, for the JSON rows and for the headings of the renderers alike.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, computed_field

Outcome = Literal["passed", "refused", "not judged"]
Columns = Mapping[str, str]

GATE_COLUMNS: Columns = {
    "rule": "gate",
    "metric": "metric",
    "subject": "split",
    "part": "slice",
    "limit": "threshold",
    "observed": "observed",
    "passed": "passed",
    "reason": "reason",
}
DATA_COLUMNS: Columns = {
    "subject": "table",
    "part": "column",
    "rule": "rule",
    "limit": "expected",
    "observed": "observed",
    "example": "example",
}
PACKAGE_COLUMNS: Columns = {"passed": "passed", "observed": "observed", "limit": "limit"}
NOTHING_JUDGED = "no rule judged anything"


class Finding(BaseModel):
    """One rule on one subject: what was observed, what is allowed, and what follows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str = Field(description="name of the rule, gate or check")
    subject: str = Field(default="", description="what it looked at: a table, a split, a package")
    part: str = Field(default="", description="a part of the subject: a column, a slice")
    metric: str = Field(default="", description="name of the number in `observed`, if it is one")
    observed: JsonValue = Field(default=None, description="what was seen; null where it is missing")
    limit: JsonValue = Field(default=None, description="what is allowed; null where nothing bounds")
    noise: float | None = Field(
        default=None,
        description="what chance alone may make of `observed`; null where that is not estimated",
    )
    passed: bool = Field(description="false refuses the whole verdict")
    judged: bool = Field(default=True, description="false where too little was there to decide on")
    reason: str = Field(
        default="",
        description="a phrase; without a metric, one that ends with a full stop is a sentence",
    )
    example: dict[str, JsonValue] | None = Field(default=None, description="one offending row")

    @property
    def outcome(self) -> Outcome:
        """What the finding decides; one that could not be judged may still refuse."""
        if not self.passed:
            return "refused"
        return "passed" if self.judged else "not judged"

    @property
    def sentence(self) -> str:
        """One sentence for people, with every fact that the finding holds."""
        if self.metric:
            where = ", ".join(filter(None, (self.metric, self.subject, self.part)))
            seen = "" if self.observed is None else f" observed {_number(self.observed)},"
            limit = "" if self.limit is None else f" threshold {_number(self.limit)}:"
            return f"{self.rule} ({where}):{seen}{limit} {self.reason}"
        if self.reason.endswith("."):
            return self.reason
        head = ": ".join(filter(None, (self.place, self.rule)))
        return f"{head}: {self.reason or f'expected {self.limit}, observed {self.observed}'}"

    @property
    def place(self) -> str:
        """`table.column`, or whichever of the two there is."""
        return ".".join(filter(None, (self.subject, self.part)))

    def as_row(self, columns: Columns) -> dict[str, Any]:
        """The fields that `columns` names, as plain JSON under its names."""
        return {name: getattr(self, field) for field, name in columns.items()}


class Verdict(BaseModel):
    """What was found, and the decision that follows from it alone.

    A verdict that is read from JSON is decided anew: a stored `accepted` counts for nothing.
    """

    model_config = ConfigDict(frozen=True)

    findings: tuple[Finding, ...] = ()

    @computed_field  # type: ignore[prop-decorator]  # pydantic's decorator stands on a property
    @property
    def accepted(self) -> bool:
        """Whether something was judged and nothing of it refuses."""
        return not self.reasons

    @computed_field  # type: ignore[prop-decorator]  # pydantic's decorator stands on a property
    @property
    def reasons(self) -> list[str]:
        """A sentence for each finding that refuses."""
        if all(finding.outcome == "not judged" for finding in self.findings):
            return [NOTHING_JUDGED]
        return [finding.sentence for finding in self.refused]

    @property
    def refused(self) -> list[Finding]:
        """The findings that refuse."""
        return [finding for finding in self.findings if not finding.passed]

    @property
    def not_judged(self) -> list[Finding]:
        """The findings that decide nothing, for there was too little to judge."""
        return [finding for finding in self.findings if finding.outcome == "not judged"]


class GateVerdict(Verdict):
    """The findings of all gates, and the champion that the candidate was compared with."""

    champion_version: int | None = None


def broken_rule(
    subject: str,
    part: str,
    rule: str,
    limit: str,
    observed: str,
    example: dict[str, JsonValue] | None = None,
) -> Finding:
    """Refuse data for a rule that it breaks: `part` is a column, or empty for the whole table, and
    `example` one bad row.
    """
    return Finding(
        rule=rule,
        subject=subject,
        part=part,
        limit=limit,
        observed=observed,
        passed=False,
        example=example,
    )


def at_most(
    rule: str, metric: str, limit: float | None, value: float | None, **where: str
) -> Finding:
    """Pass where `value` is at most `limit`; refuse where either is missing."""
    passed = limit is not None and value is not None and value <= limit
    return _bounded(rule, metric, limit, value, passed, "above the threshold", where)


def at_least(
    rule: str, metric: str, limit: float | None, value: float | None, **where: str
) -> Finding:
    """Pass where `value` is at least `limit`; refuse where either is missing."""
    passed = limit is not None and value is not None and value >= limit
    return _bounded(rule, metric, limit, value, passed, "below the threshold", where)


def as_text(findings: Iterable[Finding]) -> str:
    """One line per finding, what refuses first."""
    return "\n".join(f"{item.outcome}: {item.sentence}" for item in in_order(findings))


def as_markdown(findings: Iterable[Finding], columns: Columns, *, most: int | None = None) -> str:
    """A table with the headings of `columns`, what refuses first; `most` bounds its rows."""
    ordered = in_order(findings)[:most]
    lines = ["| " + " | ".join(_headings(columns)) + " |", "|" + "---|" * len(columns)]
    for item in ordered:
        cells = [markdown_cell(_shown(item, field)) for field in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_html(findings: Iterable[Finding], columns: Columns) -> str:
    """A table with the headings of `columns`, what refuses first; every text in it is escaped."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in _headings(columns))
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(_text(getattr(item, field)))}</td>" for field in columns)
        + "</tr>"
        for item in in_order(findings)
    )
    return f"<table><tr>{head}</tr>{rows}</table>"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """What refuses first, the whole before its parts."""
    return sorted(findings, key=lambda item: (item.passed, bool(item.part)))


def markdown_cell(value: object) -> str:
    """The value as one cell: five digits of a number, a dash for none, nothing that ends it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _headings(columns: Columns) -> list[str]:
    return ["" if field == "passed" else name for field, name in columns.items()]


def _shown(item: Finding, field: str) -> object:
    if field == "passed":
        return "**refused**" if item.outcome == "refused" else item.outcome
    if field == "part":
        return item.part or "all"
    return getattr(item, field)


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, int | float) else str(value)


def _bounded(
    rule: str,
    metric: str,
    limit: float | None,
    value: float | None,
    passed: bool,
    failure: str,
    where: Mapping[str, str],
) -> Finding:
    reason = "within the threshold" if passed else failure
    if value is None:
        reason = "the metric is missing"
    elif limit is None:
        reason = "the threshold is missing"
    return Finding(
        rule=rule,
        metric=metric,
        limit=limit,
        observed=value,
        passed=passed,
        judged=value is not None and limit is not None,
        reason=reason,
        **where,
    )
