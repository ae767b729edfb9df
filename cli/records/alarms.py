"""The command `alarms`: what is wrong, since when, who works on it, and what waits to be sent.

Reads and changes the records alone: neither Airflow nor MLflow need to run.
"""

from __future__ import annotations

import getpass
import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from cli.lazy import new_application
from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import console, print_facts, print_table
from include.alarms.outbox import SinkState, send_waiting, sink_states
from include.alarms.records import Alarm, Happening
from include.alarms.sinks import send_test
from include.alarms.store import AlarmStore
from include.errors import AlarmError
from include.settings import Settings

Number = Annotated[int, typer.Argument(metavar="ALARM", help="The alarm's number.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the alarm.")]
Who = Annotated[
    str | None,
    typer.Option("--who", metavar="NAME", help="Who says it; the account of this machine if none."),
]
SECOND = "%Y-%m-%d %H:%M:%S"

application = new_application(
    no_args_is_help=True,
    epilog="Examples: alarms list; alarms show 3; alarms acknowledge 3 --reason 'looking at it';"
    " alarms close 3 --reason 'the source is repaired'; alarms test owners",
)


@application.callback()
def _alarms() -> None:
    """What is wrong, since when, who works on it, and what waits to be sent."""


@application.command("list")
def list_alarms(
    context: typer.Context,
    *,
    use_case: Annotated[
        str | None,
        typer.Option("--use-case", metavar="NAME", help="For example flight_delays."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the open alarms, the newest signal first."""
    alarms = _store(context).alarms(use_case=use_case, is_open=None if every else True)
    if as_json:
        content = [alarm.model_dump(mode="json") for alarm in alarms]
        print_answer(content, print, as_json=True)
    else:
        _print_alarms(alarms)


@application.command("show")
def show(context: typer.Context, number: Number, *, as_json: AsJson = False) -> None:
    """Print one alarm with its evidence and its history."""
    store = _store(context)
    alarm, history = store.alarm(number), store.history(number)
    if as_json:
        happened = [item.model_dump(mode="json") for item in history]
        content = {**alarm.model_dump(mode="json"), "history": happened}
        print_answer(content, print, as_json=True)
    else:
        _print_alarm(alarm, history)


@application.command("acknowledge")
def acknowledge(context: typer.Context, number: Number, *, reason: Reason, who: Who = None) -> None:
    """Say that you work on an alarm: nobody is reminded of it until it is closed or worse."""
    alarm = _store(context).acknowledge(number, actor=who or _account(), reason=reason)
    print(f"Alarm {number} is acknowledged by {alarm.changed_by}.")


@application.command("close")
def close(context: typer.Context, number: Number, *, reason: Reason, who: Who = None) -> None:
    """Close an alarm; it opens again when what it is about returns."""
    alarm = _store(context).close(number, actor=who or _account(), reason=reason)
    print(f"Alarm {number} is closed by {alarm.changed_by}.")


@application.command("sinks")
def sinks(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print each sink, how many notices wait for it, and why, if it fails."""
    states = sink_states(_settings(context))
    if as_json:
        print_answer([vars(state) for state in states], print, as_json=True)
    else:
        _print_sinks(states)


@application.command("send")
def send(context: typer.Context) -> None:
    """Send now what waits, as far as a failing sink is due again."""
    _print_sinks(send_waiting(_settings(context)))


@application.command("test")
def try_sink(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SINK", help="The sink's name in the file.")],
    *,
    owner: Annotated[
        str, typer.Option("--owner", metavar="ADDRESS", help="Stands for {owner}.")
    ] = "owner@example.org",
) -> None:
    """Send a test notice to one sink at once; nothing is recorded."""
    error = send_test(_settings(context), name, owner)
    if error is not None:
        raise AlarmError(f"{name} does not take it: {error}")
    print(f"{name} has taken a test notice.")


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or running_settings()


def _store(context: typer.Context) -> AlarmStore:
    return AlarmStore(_settings(context))


def _account() -> str:
    return getpass.getuser()


def _print_alarms(alarms: Sequence[Alarm]) -> None:
    """Two lines for each alarm: what it is, and the reason, folded to the terminal's width."""
    output = console()
    if not alarms:
        output.print("No alarm is open; --all shows closed ones too.")
    for alarm in alarms:
        about = f"{alarm.key.use_case} {alarm.key.kind} {alarm.key.subject}".strip()
        times = f" x{alarm.times}" if alarm.times > 1 else ""
        head = (
            f"{alarm.number:>5}  {alarm.state:<12} {alarm.severity:<8} {_time(alarm.raised_at)} "
            f" {about}{times}"
        )
        output.print(head, style="bold", markup=False, soft_wrap=True)
        _print_text(alarm.reason)


def _print_text(text: str) -> None:
    output = console()
    width = max(output.width - 7, 20)
    for line in textwrap.wrap(" ".join(text.split()), width, break_long_words=False):
        output.print(f"       {line}", markup=False, soft_wrap=True)


def _print_alarm(alarm: Alarm, history: Sequence[Happening]) -> None:
    changed = f"{alarm.changed_by}: {alarm.changed_because}" if alarm.changed_by else None
    noticed = None if alarm.noticed_at is None else f"{_time(alarm.noticed_at)} ({alarm.noticed})"
    facts: dict[str, Any] = {
        "state": alarm.state,
        "severity": alarm.severity,
        "about": f"{alarm.key.kind} {alarm.key.subject}".strip(),
        "owner": alarm.owner,
        "opened": f"{_time(alarm.opened_at)} ({alarm.openings} times)",
        "seen": f"{_time(alarm.raised_at)} ({alarm.times} times)",
        "data": None if alarm.window is None else alarm.window.text,
        "run": alarm.run,
        "changed": changed,
        "told": noticed,
    }
    print_facts(f"Alarm {alarm.number}: {alarm.title}", facts)
    console().print("Evidence", style="bold")
    for sentence in [finding.sentence for finding in alarm.evidence.refused] or [alarm.reason]:
        _print_text(f"- {sentence}")
    console().print("History", style="bold")
    for item in history:
        who = f"{item.actor}: " if item.actor else ""
        _print_text(f"{_time(item.at)} {item.event}: {who}{item.reason}")


def _print_sinks(states: Sequence[SinkState]) -> None:
    rows = (
        (state.name, state.sent, state.waiting, state.failures, state.error) for state in states
    )
    headings = ("sink", "sent now", "waiting", "failures", "why")
    nothing = "none; FLIGHTDECK_ALARM_SINKS names no file"
    print_table("Sinks", headings, rows, nothing=nothing, prose=("why",))


def _time(moment: datetime) -> str:
    return moment.strftime(SECOND)
