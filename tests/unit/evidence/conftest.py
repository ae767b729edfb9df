"""A home with real, small stores: ledger, alarms, tables of monitoring and of the log."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.evidence.records import Period
from include.evidence.scope import Scope
from include.registry.versions import RegisteredVersion
from include.release.ledger import Ledger
from include.settings import Settings
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import home_settings
from tests.unit.evidence.subject import DIGEST, NAME


@pytest.fixture
def home(tmp_path) -> Settings:
    return home_settings(tmp_path / "home")


@pytest.fixture
def scope_of(home) -> Callable[..., Scope]:
    """A scope of version 1 over the home; its training's run has the files that are named."""

    def scope(period: Period | None = None, use_case=USE_CASE, files=None, **tags: str) -> Scope:
        version = RegisteredVersion(1, "run", DIGEST, tags=tags, name=NAME)
        made = Scope(home, use_case, version, period or Period())
        made.run_files = files or {}
        return made

    return scope


@pytest.fixture
def row(home) -> Callable[..., int]:
    """Append a row of the ledger about the version and return its number."""

    def append(event, actor="ada", reason="because", version=1, digest=DIGEST, **evidence) -> int:
        ledger = Ledger(home)
        return ledger.append(event, NAME, version, digest, actor, reason, evidence).number

    return append
