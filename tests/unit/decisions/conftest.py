"""The world of parcels that the tests of a folder share; none of them changes its log."""

from __future__ import annotations

import pytest

import include.inference_log.log as log
from tests.unit.decisions.parcels import REVIEWED, Answered


@pytest.fixture(scope="package")
def answered(tmp_path_factory):
    return Answered(tmp_path_factory.mktemp("decisions"))


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    """The synthetic use case is in no catalogue."""
    monkeypatch.setattr(log, "load_use_case", lambda _: REVIEWED)
    monkeypatch.setattr("cli.records.decisions.load_use_case", lambda _: REVIEWED)
    monkeypatch.setattr("cli.records.decisions.names", lambda: (REVIEWED.name,))
