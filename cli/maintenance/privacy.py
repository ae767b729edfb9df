"""The command `privacy`: one person's rows out of everything that is kept of a use case."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.lazy import new_application
from cli.platform.state import running_settings
from cli.tables import print_table
from include.catalogue import load_use_case
from include.errors import DataError
from include.files import write
from include.governance.erasure import Erasure, erase
from include.settings import Settings
from include.tables.erased import ErasedKeys

HEADINGS = ("place", "rows found", "rows erased", "what stays, and why")

UseCaseName = Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the ledger.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it for programs.")]

application = new_application(
    no_args_is_help=True,
    epilog="Examples: privacy erase flight_delays --key tailnum=N14228 --reason 'request 17';"
    " privacy list flight_delays --output erased.json; privacy again flight_delays --list"
    " erased.json --reason 'restored'",
)


@application.callback()
def _privacy() -> None:
    """Erase one person's rows everywhere, and keep them from coming back."""


@application.command("erase")
def erase_command(
    context: typer.Context,
    use_case: UseCaseName,
    *,
    key: Annotated[
        str,
        typer.Option(
            metavar="COLUMN=VALUE", help="Whom: a column of the use case's tables and its value."
        ),
    ],
    reason: Why,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Find and delete one person's rows in every place, and write down how many.

    Safe to repeat and to kill, and while the platform runs. Of versions of tables only the newest
    stays. The value itself is written down nowhere.
    """
    column, sign, value = key.partition("=")
    if not (column and sign and value):
        raise typer.BadParameter(f"{key!r} is not COLUMN=VALUE, for example customer=123")
    _run(_settings(context), use_case, (column, value), reason, dry_run=dry_run, as_json=as_json)


@application.command("again")
def again(
    context: typer.Context,
    use_case: UseCaseName,
    *,
    reason: Why,
    listed: Annotated[
        Path | None,
        typer.Option("--list", metavar="FILE", help="A list of `privacy list`, taken over first."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Erase everybody who was erased before: after a backup was restored."""
    settings = _settings(context)
    if listed is not None:
        try:
            document = json.loads(listed.read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"{listed} is no list of `privacy list`: {error}") from error
        new = ErasedKeys(settings, use_case).take_over(document)
        if not as_json:
            print(f"{new} values of {listed} were not on the list of {use_case}.")
    _run(settings, use_case, None, reason, dry_run=dry_run, as_json=as_json)


@application.command("list")
def list_command(
    context: typer.Context,
    use_case: UseCaseName,
    *,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Where it is written, readable by you alone.")
    ],
) -> None:
    """Write the list of those who were erased, for a home that is restored from a backup.

    It holds keyed digests and their key, and no value: keep it as secret as a backup.
    """
    document = ErasedKeys(_settings(context), use_case).exported()
    write(output, json.dumps(document, indent=2), durable=True, mode=0o600)
    print(f"{output}: {len(document['rows'])} values of {use_case}, as digests.")


def _settings(context: typer.Context) -> Settings:
    return context.find_object(Settings) or running_settings()


def _run(
    settings: Settings,
    use_case: str,
    key: tuple[str, str] | None,
    reason: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    erasures = erase(
        settings,
        load_use_case(use_case),
        key,
        moment=datetime.now(UTC),
        actor=getpass.getuser(),
        reason=reason,
        dry_run=dry_run,
    )
    if as_json:
        print(json.dumps([erasure.as_json() for erasure in erasures], indent=2))
        return
    for erasure in erasures:
        _print(erasure, dry_run=dry_run)


def _print(erasure: Erasure, *, dry_run: bool) -> None:
    how = "what would be erased" if dry_run else f"row {erasure.row} of the ledger"
    rows = [(part.place, part.found, part.erased, part.stays) for part in erasure.places]
    print_table(f"{erasure.use_case}: {how}", HEADINGS, rows, prose=HEADINGS[-1:])
