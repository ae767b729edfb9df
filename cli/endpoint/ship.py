"""The command `ship`: the inference log from the endpoint's own disk to the tables.

Where the endpoint shares a home with the platform, `<use_case>__monitoring` does it in passing. On
a host of its own nobody else can read what it keeps, so this command runs beside it.
"""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.endpoint.log_lines import log_to_stderr
from cli.tables import print_table
from include.catalogue import load_valid
from include.errors import FlightdeckError, SpecError
from include.inference_log.log import SpoolError, ship, ship_feedback, spool_path
from include.settings import Settings, load_settings
from include.spec.base import suggestion
from include.tables.store import WriteFailed

LOG = logging.getLogger("flightdeck.ship")
FAILURES = (FlightdeckError, SpoolError, WriteFailed, OSError, sqlite3.Error)
"""What a shipment may end with: the rows stay where they are, and the next one moves them."""


@dataclass(frozen=True)
class Shipment:
    """What was moved of one use case: rows of answers and of feedback; or why nothing was."""

    use_case: str
    answers: int = 0
    feedback: int = 0
    failure: str = ""


def ship_command(
    context: typer.Context,
    use_cases: Annotated[
        list[str] | None, typer.Argument(metavar="[USE_CASE]...", help="Default: all.")
    ] = None,
    *,
    every: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="Go on until SIGTERM, this often."),
    ] = None,
) -> None:
    """Move the endpoint's log from this host's disk to the tables.

    Safe to repeat, to kill and to run beside the endpoint: no row is lost and none comes twice.
    With --every it goes on where the tables cannot be reached, and ships once more at its end.
    """
    settings = context.find_object(Settings) or load_settings()
    if every is None:
        _show(settings, ship_all(settings, _chosen(use_cases)))
        return
    log_to_stderr()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ship_until(ended, settings, _chosen(use_cases), every)


def ship_all(settings: Settings, use_cases: Sequence[str]) -> list[Shipment]:
    """Ship each use case once; one that fails stops no other."""
    return [_ship(settings, name) for name in use_cases]


def ship_until(
    ended: threading.Event, settings: Settings, use_cases: Sequence[str], seconds: float
) -> None:
    """Ship every so many seconds until `ended`, and then once more."""
    last = False
    while not last:
        last = ended.wait(seconds)
        for shipment in ship_all(settings, use_cases):
            if shipment.failure:
                LOG.warning(
                    "%s: nothing was shipped, its rows stay on this disk: %s",
                    shipment.use_case,
                    shipment.failure,
                )
            elif shipment.answers or shipment.feedback:
                LOG.info(
                    "%s: shipped %d answers, %d of feedback",
                    shipment.use_case,
                    shipment.answers,
                    shipment.feedback,
                )


def _ship(settings: Settings, use_case: str) -> Shipment:
    if not spool_path(settings).exists():
        return Shipment(use_case)
    try:
        return Shipment(
            use_case,
            answers=ship(settings, use_case)["shipped"],
            feedback=ship_feedback(settings, use_case)["shipped"],
        )
    except FAILURES as error:
        return Shipment(use_case, failure=str(error))


def _chosen(use_cases: Sequence[str] | None) -> list[str]:
    """The use cases that are meant; raises `SpecError` of one that there is not."""
    valid, refused = load_valid()
    for name in use_cases or ():
        if name not in valid:
            reason = refused.get(name, f"there is no use case {name!r}{suggestion(name, valid)}.")
            raise SpecError(reason)
    return list(use_cases or valid)


def _show(settings: Settings, shipments: Sequence[Shipment]) -> None:
    print_table(
        f"Shipped to {settings.tables_uri}",
        ("use case", "answers", "feedback", "not shipped, since"),
        [(item.use_case, item.answers, item.feedback, item.failure or "-") for item in shipments],
        prose=("not shipped, since",),
    )
    if any(item.failure for item in shipments):
        raise typer.Exit(1)
