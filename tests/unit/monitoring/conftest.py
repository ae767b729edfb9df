"""The small real world, built once for all tests that score or monitor."""

import pytest

from tests.unit.scoring.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared: a test that changes a table leaves it as it found it."""
    return build_world(tmp_path_factory.getbasetemp() / "scored_world")
