"""What the commands of processes share: their arguments, and the ids of runs."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.runs.dates import FROM, TO

UseCaseName = Annotated[str, typer.Argument(metavar="NAME", help="Such as flight_delays.")]
First = Annotated[
    str | None,
    typer.Option(FROM, metavar="DATE", help="The first moment: 2013-04, 2013-04-01, or a time."),
]
Last = Annotated[
    str | None, typer.Option(TO, metavar="DATE", help="The end: the first moment that is not in.")
]
Trials = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, max=200, help="Tuning trials of a training; as declared."),
]
VersionNumber = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="The version to deploy; the challenger by default."),
]
Reason = Annotated[
    str, typer.Option(metavar="TEXT", help="Why; kept with a training and in the ledger.")
]
KeepGoing = Annotated[
    bool, typer.Option(help="Go on with the next interval after one that was refused.")
]


def new_run_id(starter: str, what: str) -> str:
    """The id of a run that nobody has started before, although it be in the same second."""
    return f"{starter}__{what}__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{secrets.token_hex(2)}"
