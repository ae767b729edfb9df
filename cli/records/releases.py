"""The command `releases`: what stands in the release ledger, and whether it holds.

Reads the ledger alone: neither Airflow nor MLflow need to run.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.lazy import new_application
from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import console, print_facts, print_table
from include.errors import ReleaseError
from include.release.ledger import Entry, Ledger, Traffic
from include.release.ledger.export import export, verify_export
from include.release.reconcile import witnesses
from include.settings import Settings

UseCaseName = Annotated[
    str | None,
    typer.Option("--use-case", metavar="NAME", help="For example flight_delays; all by default."),
]
SECOND = "%Y-%m-%d %H:%M:%S"

application = new_application(
    no_args_is_help=True,
    epilog="Examples: releases at 2026-11-29T14:05; releases history --use-case flight_delays;"
    " releases show 12; releases export releases.json;"
    " releases verify releases.json --key ledger.pub.pem",
)


@application.callback()
def _releases() -> None:
    """Who put which version in service when and why; verify and export the release ledger."""


@application.command("history")
def history(
    context: typer.Context,
    *,
    use_case: UseCaseName = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="EVENT", help="For example promoted, rolled_back, approved."),
    ] = None,
    version: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="About this version alone.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="ROWS", help="The newest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print the rows, newest first."""
    rows = [
        row
        for row in reversed(_ledger(context).rows(use_case))
        if event in (None, row.event) and version in (None, row.version)
    ]
    if as_json:
        print_answer([row.as_json() for row in rows[:limit]], _print_rows, as_json=True)
    else:
        _print_rows(rows[:limit])


@application.command("show")
def show(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ROW", help="The row's number.")],
) -> None:
    """Print one row with all its evidence, as JSON."""
    rows = _ledger(context).rows()
    row = next((row for row in rows if row.number == number), None)
    if row is None:
        raise ReleaseError(f"The ledger has no row {number}; it has {len(rows)} rows.")
    print_answer(row.as_json(), _print_rows, as_json=True)


@application.command("at")
def serving_at(
    context: typer.Context,
    when: Annotated[
        str,
        typer.Argument(
            metavar="TIME", help="For example 2026-11-29T14:05, in UTC unless it says another zone."
        ),
    ],
    *,
    use_case: UseCaseName = None,
    as_json: AsJson = False,
) -> None:
    """Print which versions answered at a time, at which share, who decided it, and why."""
    moment, ledger = _moment(when), _ledger(context)
    names = [use_case] if use_case else sorted({row.use_case for row in ledger.rows()})
    answers = {name: ledger.traffic(name, moment) for name in names}
    if as_json:
        content = {name: _as_json(traffic) for name, traffic in answers.items()}
        print_answer(content, print, as_json=True)
        return
    if not answers:
        console().print("Nothing has been released yet.")
    for name, traffic in answers.items():
        _print_traffic(f"{name} at {moment.strftime(SECOND)} UTC", traffic)


@application.command("verify")
def verify(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="An export; the ledger itself by default."),
    ] = None,
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The ledger's public key as you keep it; that of the file if none."
        ),
    ] = None,
) -> None:
    """Check every row, the chain, the signatures and the head, of the ledger or of an export."""
    if file is not None:
        checked = verify_export(file, key)
        print(
            f"{file}: all {checked.rows} rows of {checked.exported_at[:19]} UTC hold;"
            f" {len(checked.entries)} of them are whole."
        )
        if not checked.trusted:
            print("They were checked with the key in the file; name yours with --key.")
        return
    settings = _settings(context)
    mark = Ledger(settings).verify(witnesses=witnesses(settings))
    print(f"All {mark.number} rows hold.")


@application.command("export")
def export_ledger(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The JSON file to write.")],
    *,
    use_case: UseCaseName = None,
) -> None:
    """Write the ledger with its proof into one file, which `releases verify` checks offline.

    With --use-case the content of all other rows is left out; the chain is whole all the same.
    """
    ledger = _ledger(context)
    count = export(ledger, file.absolute(), use_case)
    print(
        f"{count} rows -> {file}. Check them with: flightdeck releases verify {file} --key"
        f" {ledger.keys.public_path}"
    )


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or running_settings()


def _ledger(context: typer.Context) -> Ledger:
    return Ledger(_settings(context))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReleaseError(
            f"{text!r} is no time; write 2026-11-29T14:05 or 2026-11-29T14:05:30+01:00."
        ) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _as_json(traffic: Traffic | None) -> dict[str, Any] | None:
    if traffic is None:
        return None
    return {"arms": [vars(arm) for arm in traffic.arms], "decided_by": traffic.entry.as_json()}


def _print_rows(rows: Sequence[Entry]) -> None:
    """Two lines for each row: what happened, and why, folded to the terminal's width."""
    output = console()
    if not rows:
        output.print("No row fulfils every condition.")
    for row in rows:
        subject = f"{row.use_case}/{row.version}"
        head = f"{row.number:>5}  {row.recorded_at.strftime(SECOND)}  {row.event:<11} {subject}"
        output.print(head, style="bold", markup=False, soft_wrap=True)
        why = " ".join(f"{row.actor}: {row.reason}".split())
        for line in textwrap.wrap(why, max(output.width - 7, 20), break_long_words=False):
            output.print(f"       {line}", markup=False, soft_wrap=True)


def _print_traffic(title: str, traffic: Traffic | None) -> None:
    if traffic is None:
        print_facts(title, {"serving": "no version; none had been released"})
        return
    rows = ((arm.role, arm.version, f"{arm.share:.1%}", arm.digest[:16]) for arm in traffic.arms)
    print_table(title, ("role", "version", "share", "digest"), rows, nothing="no version serves")
    row = traffic.entry
    print_facts(
        f"Row {row.number}",
        {
            "since": f"{row.recorded_at.strftime(SECOND)} UTC",
            "event": row.event,
            "who": row.actor,
            "why": row.reason,
            "run": row.run,
            "evidence": f"flightdeck releases show {row.number}",
        },
    )
