"""A decision as a reviewer reads it: one screen of facts, then every input with its value and what
it made of the score. Markdown, for the form that Airflow shows; the command prints the same facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from include.decisions.answered_by import AnsweredBy, LedgerRow
from include.decisions.record import DecisionRecord
from include.decisions.rescoring import BASE, Rescored
from include.decisions.reviews import Review
from include.spec import UseCase

NO_VALUE = "-"
BY_HAND = "no row of the ledger put it into service: its traffic was set by hand"


def facts_of(record: DecisionRecord) -> dict[str, str]:
    """Everything but the inputs, in words, by what it is."""
    model, again = record.answered_by, record.again
    facts = {
        "Answered": f"{record.answered_at} (event time {record.event_time})",
        "Asked about": ", ".join(
            f"{name}={value}"
            + (" (hashed)" if record.hidden.get(name) == "hash" and value is not None else "")
            for name, value in record.request.items()
        ),
        "Not logged": ", ".join(name for name, mark in record.hidden.items() if mark == "drop"),
        "Answer": record.outcome,
        "Threshold": "" if again.threshold is None else f"{again.threshold:g}",
        "Version": f"{model.version}, digest {(model.digest or 'not logged')[:16]}",
        "Why this version": why(model),
        "Scored again": again_of(again),
        "Flags": ", ".join(record.flags),
        "What came true": "" if record.label is None else str(record.label),
        "Feedback": "; ".join(
            f"{row['name']}: {row['value'] if row['text'] is None else row['text']}"
            for row in record.feedback
        ),
        "Earlier reviews": "; ".join(map(review_of, record.reviews)),
    }
    return {name: text for name, text in facts.items() if text}


def inputs_of(use_case: UseCase, record: DecisionRecord) -> Iterator[tuple[str, Any, float | None]]:
    """Each input with the value that it was computed from and its contribution, the largest first;
    then values that no input of today reads.
    """
    columns = {item.name: item.source.replace(":", "__") for item in use_case.inputs}
    values = {**record.request, **record.features}
    moved = record.again.contributions or {}
    for name in dict.fromkeys([*moved, *columns]):
        yield name, values.get(columns.get(name, "")), moved.get(name)
    if record.again.base_value is not None:
        yield BASE, None, record.again.base_value
    for column in record.features.keys() - set(columns.values()):
        yield column, record.features[column], None


def review_page(use_case: UseCase, record: DecisionRecord, requester: str, reason: str) -> str:
    """The body of a request for a review, as Markdown.

    :param requester: who asked for it, and in which run.
    :param reason: why the decision is contested.
    """
    facts = {"Contested because": reason, "Asked for by": requester, **facts_of(record)}
    rows = "\n".join(f"| {name} | {_cell(text)} |" for name, text in facts.items())
    inputs = "\n".join(
        f"| {_cell(name)} | {_cell(value)} | {NO_VALUE if part is None else f'{part:+.4f}'} |"
        for name, value, part in inputs_of(use_case, record)
    )
    return (
        f"**{use_case.task}**\n\n| | |\n|---|---|\n{rows}\n\n### What it was decided from\n\n"
        f"| Input | Value | Contribution |\n|---|---|---|\n{inputs}\n"
    )


def why(model: AnsweredBy) -> str:
    """Which row of the ledger made this version answer."""
    arm = f"arm {model.arm}" + ("" if model.share is None else f" at {100 * model.share:g} %")
    if model.fallback:
        arm += f", for which it stood in: {model.fallback}"
    row = model.decided_by
    return f"{arm}; {BY_HAND}" if row is None else f"{arm}; {row_of(row)}"


def row_of(row: LedgerRow) -> str:
    """A row of the ledger in a sentence."""
    return (
        f"row {row.number} of the ledger, {row.event} at {row.recorded_at} by {row.actor}:"
        f" {row.reason}"
    )


def again_of(again: Rescored) -> str:
    """What came of scoring it again."""
    if again.score is None or again.difference is None:
        return again.problem or ""
    text = "the same answer" if again.same else "ANOTHER ANSWER"
    text += f" ({again.score:.6g}, a difference of {again.difference:.2g})"
    return f"{text}. {again.problem}" if again.problem else text


def review_of(review: Review) -> str:
    """A review in a sentence."""
    instead = "" if review.decision is None else f" to {review.decision}"
    against = f", against row {review.earlier[-1]}" if review.contradicts else ""
    return (
        f"{review.outcome}{instead} by {review.reviewer} at {review.reviewed_at} (row"
        f" {review.number}{against}): {review.reason}"
    )


def _cell(value: Any) -> str:
    """A value that callers chose, in a cell: it must not become part of the page."""
    if value is None or value == "":
        return NO_VALUE
    text = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`"
