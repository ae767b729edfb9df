"""The commands `backfill`, `train`, `deploy`, `score` and `monitor`: a process of a use case on the
running platform, followed to its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.platform.airflow_api import AirflowApi
from cli.platform.state import running_settings
from cli.runs.arguments import (
    First,
    KeepGoing,
    Last,
    Reason,
    Trials,
    UseCaseName,
    VersionNumber,
    new_run_id,
)
from cli.runs.dates import FORM, FROM, TO, counted, planned_intervals, training_interval
from cli.runs.follow import ENDED, Platform
from cli.runs.verdict import (
    INTERRUPTED,
    Outcome,
    exit_code,
    print_folded,
    print_outcome,
    progress,
    tell_of_the_rest,
)
from include.catalogue import load_use_case
from include.errors import NotReadyYet
from include.interval import Interval
from include.processes.local import incomplete_before
from include.settings import Settings
from include.spec import UseCase

Again = Annotated[bool, typer.Option(help="Run intervals anew whose run has ended well, too.")]
RunId = Annotated[
    str | None,
    typer.Option(metavar="ID", help="The run's id in Airflow; one that is there is followed."),
]
COMMAND_OF = {"features": "backfill", "batch_scoring": "score", "monitoring": "monitor"}
CHALLENGER = "The deployment starts by itself; follow it with: flightdeck deploy {name}"


def backfill(
    context: typer.Context,
    name: UseCaseName,
    first: First = None,
    last: Last = None,
    again: Again = False,
    keep_going: KeepGoing = False,
) -> int:
    """Ingest and compute features on the platform, one interval after the other.

    Each interval of the features' cron in [--from, --to), oldest first, begins when the one before
    is published, for it is compared with it. Intervals that are done stay as they are, failed and
    refused ones run again. It stops at the first that is refused. Exit code: 0 if all was accepted,
    3 if something was refused, 1 if something failed, 2 for arguments that make no sense.
    """
    return _in_order(context, name, "features", first, last, again=again, keep_going=keep_going)


def score(
    context: typer.Context,
    name: UseCaseName,
    first: First = None,
    last: Last = None,
    again: Again = False,
    keep_going: KeepGoing = False,
) -> int:
    """Score intervals with the champion on the platform, one after the other.

    Each interval of the cron of batch scoring in [--from, --to), oldest first. Exit codes as of
    `backfill`.
    """
    return _in_order(
        context, name, "batch_scoring", first, last, again=again, keep_going=keep_going
    )


def monitor(
    context: typer.Context,
    name: UseCaseName,
    first: First = None,
    last: Last = None,
    again: Again = False,
    keep_going: KeepGoing = False,
) -> int:
    """Monitor scored intervals on the platform, one after the other.

    Each interval of monitoring's cron in [--from, --to), oldest first. An alarm is no refusal; it
    starts a training as the specification says. Exit codes as of `backfill`.
    """
    return _in_order(context, name, "monitoring", first, last, again=again, keep_going=keep_going)


def train(
    context: typer.Context,
    name: UseCaseName,
    last: Last = None,
    trials: Trials = None,
    reason: Reason = "by command",
    run_id: RunId = None,
) -> int:
    """Train on the platform, on the window that ends at --to.

    A version that passes every gate is registered, and its deployment starts by itself. Exit codes
    as of `backfill`.
    """
    use_case = load_use_case(name)
    interval = training_interval(use_case, last, datetime.now(UTC))
    with _platform(context, use_case, "training") as (platform, say):
        conf: dict[str, Any] = {"until": interval.end.isoformat(), "reason": reason}
        if trials is not None:
            conf["trials"] = trials
        run = run_id or new_run_id("command", f"until-{interval.end:%Y-%m-%d}")
        platform.start("training", run, conf)
        title = f"{name} training until {interval.end:{FORM}}"
        outcome = _follow(platform, "training", run, title, say)
    if outcome.state == "accepted":
        print_folded("", CHALLENGER.format(name=name))
    return exit_code([outcome])


def deploy(
    context: typer.Context,
    name: UseCaseName,
    version: VersionNumber = None,
    reason: Reason = "by command",
    run_id: RunId = None,
) -> int:
    """Deploy a version on the platform: package, check, approval, rollout, promotion.

    Without --version a deployment that is under way is followed, for a training starts one by
    itself; else the challenger is deployed. Exit codes as of `backfill`.
    """
    with _platform(context, load_use_case(name), "deployment") as (platform, say):
        run = platform.under_way("deployment") if version is None and run_id is None else None
        if run is None:
            what = "challenger" if version is None else f"version-{version}"
            run = run_id or new_run_id("command", what)
            conf = {"reason": reason, **({} if version is None else {"version": version})}
            platform.start("deployment", run, conf)
        outcome = _follow(platform, "deployment", run, f"{name} deployment", say)
    return exit_code([outcome])


@contextmanager
def _platform(
    context: typer.Context, use_case: UseCase, process: str
) -> Iterator[tuple[Platform, Callable[[str], None]]]:
    """The platform with the process's DAG, and progress."""
    settings, say = context.find_object(Settings) or running_settings(), progress()
    with AirflowApi(settings) as api:
        platform = Platform(settings, use_case, api, say)
        platform.require(process)
        yield platform, say


def _in_order(
    context: typer.Context,
    name: str,
    process: str,
    first: str | None,
    last: str | None,
    *,
    again: bool,
    keep_going: bool,
) -> int:
    settings, use_case = context.find_object(Settings) or running_settings(), load_use_case(name)
    intervals = planned_intervals(use_case, process, first, last, datetime.now(UTC))
    outcomes: list[Outcome] = []
    with _platform(context, use_case, process) as (platform, say):
        for number, interval in enumerate(intervals, 1):
            require_before(settings, use_case, process, interval)
            place = counted(number, intervals)
            outcome = _one(platform, use_case, process, interval, say, again=again, place=place)
            outcomes.append(outcome)
            if outcome.state != "accepted" and not keep_going:
                break
    tell_of_the_rest(intervals, outcomes)
    return exit_code(outcomes)


def require_before(settings: Settings, use_case: UseCase, process: str, interval: Interval) -> None:
    """Raise `NotReadyYet`, with the command that is missing, instead of letting a task wait for an
    hour.
    """
    awaited = incomplete_before(settings, use_case, process, interval)
    if awaited is not None:
        raise NotReadyYet(
            f"{awaited} of {use_case.name} has not completed {interval.text}. Run it first:"
            f" flightdeck {COMMAND_OF[awaited]} {use_case.name} {FROM} {interval.start:{FORM}}"
            f" {TO} {interval.end:{FORM}}"
        )


def _one(
    platform: Platform,
    use_case: UseCase,
    process: str,
    interval: Interval,
    say: Callable[[str], None],
    *,
    again: bool,
    place: str,
) -> Outcome:
    """One interval: its run started, run anew or followed."""
    title = f"{use_case.name} {process} {interval.text}"
    existing = platform.run_of(process, interval)
    if existing is None:
        run = f"command__{interval.label}"
        platform.start(process, run, {}, interval)
    else:
        run, state = existing
        if state == "success" and not again:
            say(f"{title}{place}: done before (--again runs it anew)")
            say(f"  run {run}")
            return Outcome(title, "accepted")
        if state in ENDED:
            platform.again(process, run)
    return _follow(platform, process, run, title, say, place)


def _follow(
    platform: Platform,
    process: str,
    run: str,
    title: str,
    say: Callable[[str], None],
    place: str = "",
) -> Outcome:
    say(f"{title}{place}")
    say(f"  run {run}")
    try:
        outcome = platform.follow(process, run, title)
    except KeyboardInterrupt:
        print("Followed no further; the run goes on in Airflow.")
        raise typer.Exit(INTERRUPTED) from None
    print_outcome(outcome)
    return outcome
