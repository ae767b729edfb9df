"""The real endpoint, started once as its users start it, over a small real world."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from include.catalogue import names
from include.release.model_store import set_desired
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import home_settings
from proofs.harness.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two published versions, nothing desired yet."""
    return build_world(home_settings(tmp_path_factory.mktemp("endpoint"), share=0.15))


@pytest.fixture(scope="session")
def bare_endpoint(world: World) -> Iterator[Endpoint]:
    """The endpoint as it starts before any model was deployed."""
    with Endpoint(world.settings) as endpoint:
        yield endpoint


@pytest.fixture
def endpoint(bare_endpoint: Endpoint, world: World) -> Endpoint:
    """The endpoint with version 1 in service."""
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    if not bare_endpoint.running:
        bare_endpoint.start()
    bare_endpoint.wait_for_version(1)
    bare_endpoint.wait_for("/readyz")
    return bare_endpoint


@pytest.fixture(scope="session")
def unserved() -> re.Pattern[str]:
    """What is in a path of another use case of this checkout, of which no version is in service."""
    others = [rf"/{re.escape(name)}\b" for name in names() if name != "flight_delays"]
    return re.compile("|".join(others) or r"(?!)")
