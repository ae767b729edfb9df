"""The BentoML service: `bentoml serve serving.service:FlightdeckService --host 127.0.0.1 --port
3000` from the project's root.

BentoML runs the process, its limits, health and metrics routes; the routes that predict are our own
application, mounted at /. `FLIGHTDECK_HOME` says where models, online store and log lie.
"""

from __future__ import annotations

import os
from typing import Any, cast

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from bentoml._internal.configuration.containers import BentoMLContainer

from include.release.packed.contents import alone, take_over
from include.settings import load_settings
from serving.engine.runtime import ANSWER_SECONDS, IN_FLIGHT_LIMIT
from serving.http.api_key_gate import ApiKeyGate
from serving.http.application import Application
from serving.lifecycle import Lifecycle

SETTINGS = alone(load_settings())
LIFECYCLE = Lifecycle(SETTINGS)

# BentoML empties this folder at every start: two endpoints must not share it, as those of one user
# would in ~/bentoml.
BentoMLContainer.prometheus_multiproc_dir.set(
    str(SETTINGS.serving_dir / "metrics" / str(SETTINGS.serving_port))
)


@bentoml.asgi_app(
    Application(LIFECYCLE.holder, asks_for_key=LIFECYCLE.api_keys is not None),
    path="/",
    name="flightdeck",
)
@bentoml.service(
    name="flightdeck",
    workers=SETTINGS.serving_workers,
    # Our own limits answer first and in JSON; these are the net below them.
    traffic={"timeout": ANSWER_SECONDS + 10.0, "max_concurrency": 2 * IN_FLIGHT_LIMIT},
    http={"host": "127.0.0.1", "port": SETTINGS.serving_port},
    logging={"access": {"enabled": False}},
    metrics={"enabled": True, "namespace": "bentoml_service"},
)
class FlightdeckService:
    """One generic endpoint for every use case in include/use_cases."""

    def __init__(self) -> None:
        # Not at import, which `bentoml build` does in the home of whoever builds.
        take_over(SETTINGS)
        LIFECYCLE.start()

    async def __is_ready__(self) -> bool:
        """Say whether a model is loaded, its online store open and the log writable."""
        return LIFECYCLE.not_ready() is None

    async def __is_alive__(self) -> bool:
        """Say whether the process can answer at all."""
        return LIFECYCLE.not_alive() is None

    @bentoml.on_startup
    async def listen(self) -> None:
        """Open the gRPC port."""
        await LIFECYCLE.listen()

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Answer what is pending and close everything."""
        await LIFECYCLE.stop()


if LIFECYCLE.api_keys is not None:
    cast("Any", FlightdeckService).add_asgi_middleware(ApiKeyGate, keys=LIFECYCLE.api_keys)
