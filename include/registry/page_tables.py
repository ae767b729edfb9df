"""The tables of a version's page: of every gate, slice and group the line that decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from include.registry.metric_names import mlflow_name
from include.verdict import Finding, markdown_cell

TEST, CHAMPION, GOLDEN = "test", "champion", "golden"
SLICE_GATES = ("slice_", "champion_slices")
BEYOND = "above the threshold, "
"""How the reason of a finding begins that passes although it is above its limit."""
MOST_GATES = 12
MOST_SLICES = 6
MOST_GROUPS = 5
GAP = "&nbsp;&nbsp;"
SMALLEST = 1e-12


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    MLflow sets the cells of neighbouring columns without any room between them, so the longest of
    each column brings its own.
    """
    cells = [list(headings), *([_cell(cell) for cell in row] for row in rows)]
    for column in range(len(headings)):
        longest = max(cells, key=lambda row: len(row[column]))
        longest[column] += GAP
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(headings), *lines[1:]])


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What refuses, then what is nearest to its limit, then what has none, then what was not
    judged.
    """
    order = {"refused": 0, "passed": 1, "not judged": 2}
    return sorted(findings, key=lambda item: (order[item.outcome], _distance(item)))


def gate_table(findings: Sequence[Finding], metrics: Mapping[str, float]) -> str:
    """Of every gate its worst finding, with the champion's value on the same test rows beside it.

    `metrics` are the run's; `test.champion.<metric>` are the champion's.
    """
    by_gate: dict[str, list[Finding]] = {}
    for finding in findings:
        by_gate.setdefault(finding.rule, []).append(finding)
    decisive = worst_first(worst_first(of_gate)[0] for of_gate in by_gate.values())
    refused = sum(item.outcome == "refused" for item in decisive)
    shown = max(MOST_GATES, refused)
    rows = [
        (
            outcome(worst),
            worst.rule,
            worst.observed,
            _of_champion(worst, metrics),
            worst.limit,
            worst.metric,
            worst.part or worst.subject,
            _count(by_gate[worst.rule]),
        )
        for worst in decisive[:shown]
    ]
    headings = ("", "gate", "candidate", "champion", "limit", "metric", "where", "judged")
    others = ", ".join(item.rule for item in decisive[shown:])
    far = f"\n\nNot shown, for none of them refuses: {others}." if others else ""
    return table(headings, rows) + far


def slice_table(findings: Sequence[Finding]) -> str | None:
    """The worst slices, each with the finding that is nearest to its limit, or beyond it."""
    return _parts_table(
        [item for item in findings if item.part and item.rule.startswith(SLICE_GATES)],
        ("", "slice", "candidate", "limit", "metric", "gate"),
        lambda item: (outcome(item), item.part, item.observed, item.limit, item.metric, item.rule),
        MOST_SLICES,
        by_part=True,
    )


def fairness_table(findings: Sequence[Finding]) -> str | None:
    """The groups whose rates differ most for what is allowed."""
    return _parts_table(
        [item for item in findings if item.rule == "fairness"],
        ("", "groups of", "candidate", "limit", "metric", "rates"),
        lambda item: (
            outcome(item),
            item.part,
            item.observed,
            item.limit,
            item.metric,
            item.reason,
        ),
        MOST_GROUPS,
        by_part=False,
    )


def metric_table(names: Sequence[str], metrics: Mapping[str, float]) -> str:
    """Metrics by split, the champion's on the same test rows, and the golden set's."""
    columns = {
        "train": ("train",),
        "validation": ("validation",),
        TEST: (TEST,),
        "champion": (TEST, CHAMPION),
        "golden set": (GOLDEN,),
    }
    keys = {name: [mlflow_name(*place, name) for place in columns.values()] for name in names}
    rows = [
        (name, *(metrics.get(key) for key in places))
        for name, places in keys.items()
        if any(key in metrics for key in places)
    ]
    return table(("metric", *columns), rows)


def outcome(finding: Finding) -> str:
    """The outcome, what refuses in bold; of what passes beyond its limit, why it does."""
    if finding.outcome == "refused":
        return "**refused**"
    if finding.outcome == "passed" and finding.reason.startswith(BEYOND):
        return f"passed, {finding.reason.removeprefix(BEYOND).partition(':')[0]}"
    return finding.outcome


def where(finding: Finding) -> str:
    """The split, and the part of it."""
    return ", ".join(filter(None, (finding.subject, finding.part)))


def _cell(value: object) -> str:
    """The value as text: a slice of the data may be called like a tag of HTML."""
    return markdown_cell(value).replace("<", "&lt;")


def _distance(finding: Finding) -> float:
    observed, limit = finding.observed, finding.limit
    if not isinstance(observed, int | float) or not isinstance(limit, int | float):
        return float("inf")
    if observed == limit:
        # What is the same thing twice, or counts none of none, is not near to anything.
        return float("inf")
    return abs(observed - limit) / max(abs(observed), abs(limit), SMALLEST)


def _of_champion(finding: Finding, metrics: Mapping[str, float]) -> float | None:
    if finding.subject != TEST or finding.part:
        return None
    return metrics.get(mlflow_name(TEST, CHAMPION, finding.metric))


def _count(findings: Sequence[Finding]) -> str:
    refused = sum(item.outcome == "refused" for item in findings)
    unjudged = sum(item.outcome == "not judged" for item in findings)
    judged = len(findings) - unjudged
    if refused:
        return f"{refused} of {judged} refused"
    return f"{judged} of {len(findings)}" if unjudged else f"{judged}"


def _parts_table(
    findings: Sequence[Finding],
    headings: Sequence[str],
    row: Callable[[Finding], Sequence[object]],
    most: int,
    *,
    by_part: bool,
) -> str | None:
    judged = [item for item in worst_first(findings) if item.outcome != "not judged"]
    if by_part:
        first: dict[str, Finding] = {}
        for item in judged:
            first.setdefault(item.part, item)
        judged = list(first.values())
    if not judged:
        return None
    refused = sum(item.outcome == "refused" for item in judged)
    shown = judged[: max(most, refused)]
    text = table(headings, [row(item) for item in shown])
    left = len(judged) - len(shown)
    return f"{text}\n\n{left} more are farther from their limits." if left else text
