"""The real endpoint, started once as its users start it, over a small real world."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.release.model_store import set_desired
from tests.serving.endpoint import Endpoint
from tests.serving.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two published versions, nothing desired yet."""
    return build_world(tmp_path_factory.mktemp("endpoint"))


@pytest.fixture(scope="session")
def bare_endpoint(world: World) -> Iterator[Endpoint]:
    """The endpoint as it starts before any model was deployed."""
    endpoint = Endpoint(world.settings.home)
    endpoint.start()
    yield endpoint
    endpoint.stop()
    endpoint.client.close()


@pytest.fixture
def endpoint(bare_endpoint: Endpoint, world: World) -> Endpoint:
    """The endpoint with version 1 in service."""
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    if not bare_endpoint.running:
        bare_endpoint.start()
    bare_endpoint.wait_for_version(1)
    bare_endpoint.wait_for("/readyz")
    return bare_endpoint
