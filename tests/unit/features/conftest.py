from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.features.store import apply_definitions
from include.settings import Settings
from tests.unit.features.online.stores import Servers
from tests.unit.features.world import build


@pytest.fixture(scope="session")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """January and February with all flights, Feast's definitions applied, nothing materialised."""
    settings = build(tmp_path_factory.mktemp("two_months"), months=2)
    apply_definitions(settings)
    return settings


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Online stores of other kinds, each started when a test wants it."""
    running = Servers()
    yield running
    running.close()
