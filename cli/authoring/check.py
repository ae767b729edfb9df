"""The command `check`: a use case held against everything that it must fit, before Airflow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.authoring.dag_file import dag_file_problems
from cli.authoring.limits import examine, print_deliveries, print_pasted, print_trial
from cli.platform.state import running_settings
from cli.runs.arguments import First, Last
from cli.runs.dates import planned_intervals
from cli.runs.servers import environment_of
from cli.runs.verdict import print_folded, progress
from include.catalogue import load_use_case, names
from include.errors import SpecError
from include.interval import Interval
from include.lean_feast import with_checks
from include.processes.declarations import problems
from include.settings import Settings
from include.spec import UseCase
from include.spec.times import ticks_around


def check(
    context: typer.Context,
    use_case: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Every use case if none is named.")
    ] = None,
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Propose limits from its history, gates and alarms from trial trainings.",
        ),
    ] = False,
    first: First = None,
    last: Last = None,
    trials: Annotated[
        int,
        typer.Option(
            metavar="N", min=0, max=200, help="Tuning trials of the trial training; 0: no training."
        ),
    ] = 3,
) -> int:
    """Hold a use case against all that it must fit: Feast, the others, its DAG file.

    What it declares against Feast's definitions, its estimator, SQL and data.py, its tables and
    names against those of every other use case, and its DAG file against the DAGs that it must
    have. A line per mistake with file, field, value and what is valid; exit code 1 if there is one.

    With --history every interval of the features' cron (in [--from, --to); all that are over by
    default) is read and measured as a delivery is. In a home of its own a model is trained on the
    newest window, and up to twelve intervals are monitored, each after a training on the window
    before it. Printed are the limits that this history asks for, each with the figure that it comes
    from, and as lines for spec.py. Nothing is published, registered or changed.
    """
    settings = context.find_object(Settings) or running_settings()
    # A definition of features with a value of another type is named by Feast's own checks.
    with_checks()
    with environment_of(settings):
        checked = [use_case] if use_case else names()
        lines = dict.fromkeys(
            line for name in checked for line in use_case_problems(name, settings)
        )
    for line in lines:
        print(line)
    if lines:
        return 1
    print_folded(
        "", f"{', '.join(checked)}: what is declared can be, and the DAG file has every DAG."
    )
    if history:
        for name in checked:
            _try_history(name, settings, first, last, trials)
    return 0


def _try_history(
    name: str, settings: Settings, first: str | None, last: str | None, trials: int
) -> None:
    with environment_of(settings):
        use_case, say = load_use_case(name), progress()
        intervals = _history(use_case, first, last)
        say(f"a dry run over {len(intervals)} intervals")
        proposals = print_deliveries(examine(use_case, settings, intervals, say))
        if trials:
            whole = Interval(intervals[0].start, intervals[-1].end)
            proposals += print_trial(use_case, settings, whole, trials, say)
        print_pasted(use_case, proposals)


def _history(use_case: UseCase, first: str | None, last: str | None) -> list[Interval]:
    """The intervals that are over, or those of the options."""
    schedule, now = use_case.schedule, datetime.now(UTC)
    end = now if schedule.end is None else min(now, schedule.end + timedelta(days=1))
    newest = ticks_around(schedule.features_cron, end)[0]
    return planned_intervals(
        use_case,
        "features",
        first or schedule.start.isoformat(),
        last or newest.isoformat(),
        now,
    )


def use_case_problems(name: str, settings: Settings) -> list[str]:
    """A line for every mistake of a use case; an unknown name is one."""
    try:
        declared = problems(load_use_case(name), settings)
    except SpecError as error:
        return [str(error)]
    return [*declared, *dag_file_problems(name, settings)]
