"""A checkout of its own, with what lies in this one as its commit, and the bundle that is built of
it.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cli.bundles.build import build
from include.bundles.checkout import read_checkout
from tests.unit.bundles.made import home_of

DATE = "2026-11-30T09:00:00+00:00"


def commit_all(root: Path, subject: str) -> None:
    """Commit whatever lies in the checkout."""
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    dates = {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
    for arguments in (("add", "-A"), ("commit", "-qm", subject)):
        subprocess.run(["git", "-C", root, *who, *arguments], check=True, env=dates)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """The files of this checkout that run, committed."""
    root = tmp_path_factory.mktemp("checkout")
    packed = read_checkout(allow_dirty=True)
    for name, content in packed.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name in packed.executable else 0o644)
    (root / ".gitignore").write_text("__pycache__/\n")
    subprocess.run(["git", "-C", root, "init", "-q"], check=True)
    commit_all(root, "What runs")
    return root


@pytest.fixture(scope="session")
def staging(tmp_path_factory):
    """The home in which bundles are built, signed and tried."""
    return home_of(tmp_path_factory.mktemp("staging") / "home", "staging")


@pytest.fixture(scope="session")
def built(checkout, staging):
    """The bundle of the checkout."""
    return build(staging, images={}, root=checkout)
