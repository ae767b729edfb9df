"""The conditions of a search as options, and from them its criteria."""

from __future__ import annotations

from typing import Annotated

import typer

from include.experiments.criteria import DECISIONS, Condition, Criteria, parse_moment

UseCases = Annotated[
    list[str] | None, typer.Option("--use-case", metavar="NAME", help="May be repeated.")
]
Decision = Annotated[
    str | None, typer.Option(metavar="DECISION", help=f"One of {', '.join(DECISIONS)}.")
]
Trigger = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", help="schedule, backfill, new_data, alarm, manual, event or local."
    ),
]
Since = Annotated[
    str | None, typer.Option(metavar="DATE", help="Data intervals that end then or later.")
]
Until = Annotated[str | None, typer.Option(metavar="DATE", help="Data intervals that end before.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="CONDITION",
        help="For example 'auc>0.7' on the test split, or 'golden.auc>0.7'; may be repeated.",
    ),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="CONDITION", help="'xgboost.max_depth=6'; may be repeated."),
]
Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="CONDITION", help="'triggered_by=ada'; may be repeated."),
]
Snapshot = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE@VERSION|DIGEST",
        help="The data-set version, or the beginning of its digest.",
    ),
]
Commit = Annotated[
    str | None, typer.Option(metavar="SHA", help="The beginning of the code's commit.")
]
Text = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="Within annotations, reasons of a refusal, causes and parameters of the trigger.",
    ),
]
Limit = Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")]


def criteria(
    *,
    use_cases: list[str] | None,
    decision: str | None,
    trigger: str | None,
    since: str | None,
    until: str | None,
    metrics: list[str] | None,
    parameters: list[str] | None,
    tags: list[str] | None,
    snapshot: str | None,
    commit: str | None,
    text: str | None,
) -> Criteria:
    """The criteria of a search.

    Raises `RegistryError` for a condition that cannot be understood.
    """
    return Criteria(
        use_cases=tuple(use_cases or ()),
        decision=decision,
        kind=trigger,
        since=None if since is None else parse_moment(since),
        until=None if until is None else parse_moment(until),
        metrics=tuple(Condition.parse(condition, number=True) for condition in metrics or ()),
        parameters=tuple(
            Condition.parse(condition, number=False) for condition in parameters or ()
        ),
        tags=tuple(Condition.parse(condition, number=False) for condition in tags or ()),
        snapshot=snapshot,
        commit=commit,
        text=text,
    )
