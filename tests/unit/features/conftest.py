from __future__ import annotations

from collections.abc import Iterator

import pytest

from include.settings import Settings
from tests.unit.features.online.stores import Servers
from tests.unit.features.world import shared


@pytest.fixture(scope="session")
def two_months(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """January and February with all flights, Feast's definitions applied, nothing materialised."""
    return shared(tmp_path_factory.getbasetemp() / "two_months", 2)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Online stores of other kinds, each started when a test wants it."""
    running = Servers()
    yield running
    running.close()
