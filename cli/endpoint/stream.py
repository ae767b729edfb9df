"""The command `stream`: score the events of a broker with the model in service."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.endpoint.log_lines import log_to_stderr
from include.catalogue import load_use_case
from include.settings import load_settings


def stream(
    use_case: Annotated[
        str, typer.Argument(metavar="[USE_CASE]", help="The use case.")
    ] = "flight_delays",
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The broker; default: FLIGHTDECK_NATS_URL.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(min=1, metavar="N", help="Events that may be unacknowledged at once.")
    ] = 256,
    ack_wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Seconds until the broker sends an unacknowledged event again."
        ),
    ] = 30.0,
) -> None:
    """Score the events of a broker.

    It runs until SIGTERM or Ctrl-C, and finishes what was begun.
    """
    settings = load_settings()
    log_to_stderr()
    from serving.stream.consumer import Consumer, StreamOptions

    options = StreamOptions(url or settings.nats_url, in_flight, ack_wait)
    asyncio.run(Consumer(settings, load_use_case(use_case), options).run())
