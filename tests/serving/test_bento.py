"""The Bento that `bentoml build` packs serves by itself: its own copy of the code, in a folder
without the project.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.release.model_store import set_desired
from include.settings import PROJECT_ROOT
from proofs.harness.endpoint import Endpoint
from proofs.harness.world import World

pytestmark = pytest.mark.slow


@contextmanager
def run_time_data() -> Iterator[None]:
    """A file of a name that is packed, where a platform that has run keeps its models."""
    path = PROJECT_ROOT / "var" / "of-the-bento-test" / "requirements.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield
    finally:
        path.unlink()
        path.parent.rmdir()


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """BentoML's home and the tag of the Bento built there."""
    home = tmp_path_factory.mktemp("bentoml")
    environment = {**os.environ, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "-o", "tag"]
    with run_time_data():
        built = subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True
        )
    return home, built.stdout.strip().removeprefix("__tag__:").splitlines()[-1]


@pytest.fixture(scope="module")
def packed(
    bento: tuple[Path, str], world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """The Bento's endpoint over the world's run-time folder, started far from the project."""
    home, tag = bento
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    with Endpoint(
        world.settings,
        changes={"BENTOML_HOME": str(home), "PYTHONPATH": ""},
        service=tag,
        folder=tmp_path_factory.mktemp("elsewhere"),
    ) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def test_the_bento_holds_code_and_locked_requirements_and_no_run_time_data(
    bento: tuple[Path, str],
) -> None:
    home, tag = bento
    folder = home / "bentos" / tag.replace(":", "/")
    assert sorted(path.name for path in (folder / "src").iterdir()) == [
        "bentofile.yaml",
        "docs",
        "feature_repo",
        "include",
        "requirements.txt",
        "serving",
    ]
    assert "--hash=sha256:" in (folder / "env" / "python" / "requirements.txt").read_text()


def test_the_built_bento_answers_as_the_endpoint_does(packed: Endpoint, world: World) -> None:
    answer = packed.predict(world.rows[:3])
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 3
    explained = packed.client.post(
        "/v1/models/flight_delays/explain", json={"rows": world.rows[:3]}
    ).json()["predictions"]
    assert [row["probability"] for row in explained] == [
        row["probability"] for row in answer.json()["predictions"]
    ]
