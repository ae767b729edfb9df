"""The command `replay`: what a version would have answered, beside what was answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import print_facts
from include.catalogue import load_use_case
from include.experiments.criteria import parse_moment
from include.interval import Interval
from include.release.replay import Replay, replay
from include.settings import Settings


def replay_command(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")],
    *,
    version: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="The registered version to try.")
    ],
    since: Annotated[
        str,
        typer.Option("--from", metavar="TIME", help="ISO 8601; the first answers, UTC by default."),
    ],
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The answers before it; now by default."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score logged answers again with a version and compare it with what was answered.

    Nothing of it serves, and nothing is recorded.
    """
    settings = context.find_object(Settings) or running_settings()
    end = datetime.now(UTC) if until is None else parse_moment(until)
    window = Interval(parse_moment(since), end)
    result = replay(settings, load_use_case(use_case), version, window)
    if as_json:
        print_answer(result.as_json(), _print, as_json=True)
    else:
        _print(result)


def _print(result: Replay) -> None:
    answered = ", ".join(
        f"{rows:,} by version {number}" for number, rows in result.answered_by.items()
    )
    facts = {
        "answered": answered,
        "window": f"{result.start} to {result.end}",
        "other decisions": f"{result.different:,} ({100 * result.different / result.rows:.2f} %)",
        "difference of the scores": f"{result.mean_difference:.4g} on average,"
        f" {result.largest_difference:.4g} at most",
        "score PSI": f"{result.score_psi:.4g}",
    }
    if result.hidden:
        facts["hidden by the log"] = f"{result.hidden:,} more rows"
    if result.improvement is not None:
        difference, low, high = result.improvement
        facts["labelled"] = f"{result.labelled:,}"
        facts["mean loss"] = f"{result.loss:.4g}, as answered {result.answered_loss:.4g}"
        facts["improvement"] = f"{difference:.4g}, between {low:.4g} and {high:.4g} (95 %)"
    print_facts(f"Version {result.version} of {result.use_case}, {result.rows:,} rows", facts)
