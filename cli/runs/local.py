"""The command `run`: a whole process in this process, without the platform."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.platform.preflight import require_writable
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
from cli.runs.dates import FROM, TO, counted, planned_intervals, training_interval
from cli.runs.servers import NEEDED, environment_of, servers_for
from cli.runs.verdict import Outcome, exit_code, print_outcome, progress, tell_of_the_rest
from include.catalogue import load_use_case
from include.errors import FlightdeckError
from include.interval import Interval
from include.processes.local import SEQUENCES, require_awaited, run_process
from include.settings import Settings
from include.spec import UseCase
from include.spec.base import suggestion
from include.steps import RunInfo, StepContext

UNDATED = "deployment"


def run(
    context: typer.Context,
    name: UseCaseName,
    process: Annotated[
        str, typer.Argument(metavar="PROCESS", help=f"One of {', '.join(SEQUENCES)}.")
    ],
    first: First = None,
    last: Last = None,
    trials: Trials = None,
    version: VersionNumber = None,
    reason: Reason = "by command",
    keep_going: KeepGoing = False,
) -> int:
    """Run a process of a use case here, without the platform.

    Its steps run one after the other in this process, over the same home: features, batch scoring
    and monitoring for each interval of their cron in [--from, --to), a training on the window that
    ends at --to. MLflow and the endpoint are started for as long as they are needed. The exit code
    is 0 if all was accepted, 3 if something was refused, 1 if something failed, 2 for arguments
    that make no sense.
    """
    if process not in SEQUENCES:
        raise typer.BadParameter(
            f"there is no process {process!r}{suggestion(process, SEQUENCES)}",
            param_hint="PROCESS",
        )
    settings = context.find_object(Settings) or running_settings()
    with environment_of(settings):
        use_case = load_use_case(name)
        intervals = intervals_of(use_case, process, first, last)
        params = parameters_of(process, trials=trials, version=version, reason=reason)
        require_writable(settings)
        contexts = [
            StepContext(use_case, settings, interval, _run_info(process, interval, params))
            for interval in intervals
        ]
        require_awaited(contexts[0])
        outcomes = _run_all(contexts, keep_going=keep_going)
    tell_of_the_rest(intervals, outcomes)
    return exit_code(outcomes)


def _run_info(process: str, interval: Interval, params: dict[str, Any]) -> RunInfo:
    return RunInfo(
        process=process,
        run_id=new_run_id("local", interval.label),
        triggered_by=getpass.getuser(),
        params=params,
    )


def _run_all(contexts: Sequence[StepContext], *, keep_going: bool) -> list[Outcome]:
    """Run one after the other until one fails, or is refused; print each as it ends."""
    say, first = progress(), contexts[0]
    process, outcomes = first.run.process, list[Outcome]()
    if NEEDED[process]:
        say("starting what the process needs")
    with servers_for(first.settings, process) as served, environment_of(served):
        intervals = [context.interval for context in contexts]
        for number, context in enumerate(contexts, 1):
            place = counted(number, intervals)
            outcome = run_once(replace(context, settings=served), say, place)
            print_outcome(outcome)
            outcomes.append(outcome)
            if outcome.state == "failed" or (outcome.state == "refused" and not keep_going):
                break
    return outcomes


def intervals_of(
    use_case: UseCase, process: str, first: str | None, last: str | None
) -> list[Interval]:
    """The intervals that the process is to run on, oldest first."""
    now = datetime.now(UTC)
    if process == "training":
        if first is not None:
            raise typer.BadParameter(
                f"training reads the {use_case.training.window_days} days before {TO}"
                " (training.window_days); leave it out.",
                param_hint=FROM,
            )
        return [training_interval(use_case, last, now)]
    if process != UNDATED:
        return planned_intervals(use_case, process, first, last, now)
    if first is not None or last is not None:
        raise typer.BadParameter(
            "a deployment reads no interval; --version says what is deployed.",
            param_hint=FROM if last is None else TO,
        )
    return [Interval(now - timedelta(days=1), now)]


def parameters_of(
    process: str, *, trials: int | None, version: int | None, reason: str
) -> dict[str, Any]:
    """The run's parameters, as those of the process's DAG; raises `typer.BadParameter` for one
    that it does not have.
    """
    possible = {"training": ("trials", "reason"), UNDATED: ("version", "reason")}
    stated = {"trials": trials, "version": version, "reason": reason}
    for name in ("trials", "version"):
        if stated[name] is not None and name not in possible.get(process, ()):
            owner = next(owner for owner, names in possible.items() if name in names)
            raise typer.BadParameter(
                f"it belongs to {owner}, not to {process}.", param_hint=f"--{name}"
            )
    return {name: stated[name] for name in possible.get(process, ()) if stated[name] is not None}


def run_once(context: StepContext, say: Callable[[str], None], place: str = "") -> Outcome:
    """Run the process on one interval; an error made on purpose is an outcome. `place` follows the
    title where progress is told.
    """
    process = context.run.process
    when = "" if process == UNDATED else f" {context.interval.text}"
    title = f"{context.use_case.name} {process}{when}"
    say(f"{title}{place}")
    steps = []

    def step(name: str) -> None:
        steps.append(name)
        say(f"  {name}")

    try:
        done = run_process(context, step)
    except FlightdeckError as error:
        return Outcome(title, "failed", tuple(steps[-1:]), (str(error),))
    if done.refused:
        reasons = tuple(reason for reasons in done.refused.values() for reason in reasons)
        return Outcome(title, "refused", tuple(done.refused), reasons, done.results)
    return Outcome(title, "accepted", results=done.results)
