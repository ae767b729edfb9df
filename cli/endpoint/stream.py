"""`python -m cli stream`: score the events of a broker with the model in service."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence

from include.catalogue import load_use_case
from include.settings import load_settings


def main(arguments: Sequence[str]) -> int:
    """Consume until SIGTERM or Ctrl-C; exit code 0 when everything begun was finished."""
    settings = load_settings()
    parser = argparse.ArgumentParser(
        prog="stream",
        description="Score the events of a NATS JetStream broker with the model in service.",
    )
    parser.add_argument("use_case", nargs="?", default="flight_delays")
    parser.add_argument(
        "--url",
        default=settings.nats_url,
        help="the broker (default: %(default)s; FLIGHTDECK_NATS_URL)",
    )
    parser.add_argument(
        "--in-flight",
        type=int,
        default=256,
        help="events that may be unacknowledged at once (default: %(default)s)",
    )
    parser.add_argument(
        "--ack-wait",
        type=float,
        default=30.0,
        help="seconds after which the broker gives an unacknowledged event again (default: 30)",
    )
    given = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    from serving.stream.consumer import Consumer, StreamOptions

    consumer = Consumer(
        settings,
        load_use_case(given.use_case),
        StreamOptions(given.url, given.in_flight, given.ack_wait),
    )
    asyncio.run(consumer.run())
    return 0
