"""Small real worlds, each built once for all steps' tests."""

from __future__ import annotations

import pytest

from include.features.store import apply_definitions
from include.settings import Settings
from tests.unit.features.world import build
from tests.unit.scoring.world import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Shared: a test that changes a table leaves it as it found it."""
    return build_world(tmp_path_factory.getbasetemp() / "scored_world")


@pytest.fixture(scope="session")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """January and February with all flights, Feast's definitions applied, nothing materialised."""
    settings = build(tmp_path_factory.mktemp("two_months"), months=2)
    apply_definitions(settings)
    return settings
