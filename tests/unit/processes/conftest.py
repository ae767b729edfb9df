"""Small real worlds, each built once for all steps' tests."""

from __future__ import annotations

import pytest

from include.settings import Settings
from tests.unit.features.world import shared
from tests.unit.scoring.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared: a test that changes a table leaves it as it found it."""
    return build_world(tmp_path_factory.getbasetemp() / "scored_world")


@pytest.fixture(scope="session")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """January and February with all flights, Feast's definitions applied, nothing materialised."""
    return shared(tmp_path_factory.getbasetemp() / "two_months", 2)
