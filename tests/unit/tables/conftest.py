"""Where tables lie: each test of them runs over a folder and over a real S3."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return str(tmp_path)
    server = request.getfixturevalue("object_store")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return f"{server.url}/{secrets.token_hex(8)}"
