"""A ledger in a home of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.release.ledger import Ledger
from tests.unit.release.ledger.ledger_files import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def ledger(home: Home) -> Ledger:
    return home.ledger
