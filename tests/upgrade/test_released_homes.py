"""A home that a release left is restored and brought forward by today's code, and its work goes on:
its history holds, its model answers as it did, a new month comes, a new version is released and
taken back.

`make released-home` keeps a home of today's version for the tests of later ones.
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from include.settings import PROJECT_ROOT
from tests.copies import in_copy, only_use_case, project_copy
from tests.upgrade.keep import ABOUT, FILES, KEPT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
RELEASED = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", re.MULTILINE)
SUFFIX = ".tar.xz"
HOMES = sorted(path.name.removesuffix(SUFFIX) for path in KEPT.glob(f"*{SUFFIX}"))


@pytest.fixture(scope="module", params=HOMES)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what a release left."""
    folder = tmp_path_factory.mktemp("released")
    with tarfile.open(KEPT / f"{request.param}{SUFFIX}") as archive:
        # Without a word about the filters, which not every Python has.
        archive.extraction_filter = lambda member, _: member  # type: ignore[assignment]
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def about(kept: Path) -> dict[str, Any]:
    """What was there when it was kept."""
    document: dict[str, Any] = json.loads((kept / ABOUT).read_text())
    return document


@pytest.fixture(scope="module")
def copy(kept: Path, about: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Today's code, with the use case as its author wrote it then."""
    root = project_copy(tmp_path_factory.mktemp("today") / "copy", "proofs", "tests")
    only_use_case(root, about["use_case"], kept / FILES)
    shutil.copytree(kept / "data", root / "data")
    return root


@pytest.fixture(scope="module")
def left(copy: Path, kept: Path) -> dict[str, Any]:
    """What was there at each point."""
    done = in_copy(copy, [".venv/bin/python", "-m", "tests.upgrade.later", str(kept)])
    assert done.returncode == 0, done.stdout[-5000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def test_the_newest_release_has_left_its_home() -> None:
    releases = RELEASED.findall((PROJECT_ROOT / "CHANGELOG.md").read_text())
    assert releases[0] in HOMES
    assert set(HOMES) <= set(releases)


def test_two_commands_bring_it_forward(left: dict[str, Any], about: dict[str, Any]) -> None:
    assert "`flightdeck up` starts it" in left["restore"]
    assert left["written_by"] == about["version"]
    assert left["migrate"].startswith("Brought up to date: airflow, mlflow.")
    assert left["before"] == {name: about[name] for name in left["before"]}


def test_its_history_holds_and_goes_on(left: dict[str, Any], about: dict[str, Any]) -> None:
    assert f"All {len(about['ledger'])} rows hold." in left["verify"]
    after = left["after"]["ledger"]
    assert after[: len(about["ledger"])] == about["ledger"]
    assert left["verified"] == len(after) > len(about["ledger"])


def test_its_champion_answers_its_callers_as_it_did(
    left: dict[str, Any], about: dict[str, Any]
) -> None:
    assert left["stranger"] == 401
    assert left["answer"]["model_version"] == about["champion"]
    assert scores(left["answer"]) == pytest.approx(scores(about["answer"]), abs=1e-6)


def test_a_new_month_is_scored_by_it_and_watched(left: dict[str, Any]) -> None:
    for process in ("features", "batch_scoring", "monitoring"):
        assert left[process]["refused"] == {}, process
    before, after = left["before"]["tables"], left["after"]["tables"]
    assert all(rows > before[table] for table, rows in after.items()), (before, after)
    assert left["monitoring"]["decide_alarm"]["verdict"] is not None


def test_a_new_version_is_compared_with_it_and_released(
    left: dict[str, Any], about: dict[str, Any]
) -> None:
    training = left["training"]
    assert training["refused"] == {}
    assert training["check_gates"]["champion_version"] == about["champion"]
    new = training["register_model"]["version"]
    assert new == about["models"][0]["versions"] + 1
    assert left["deployment"]["refused"] == {}
    assert left["new_answer"]["model_version"] == new
    assert scores(left["new_answer"]) != pytest.approx(scores(about["answer"]), abs=1e-3)


def test_a_roll_back_leads_to_it(left: dict[str, Any], about: dict[str, Any]) -> None:
    assert f"version {about['champion']} serves" in left["rollback"]
    assert left["answer_after"]["model_version"] == left["alias"] == about["champion"]


def scores(answer: dict[str, Any]) -> list[float]:
    return [prediction["probability"] for prediction in answer["predictions"]]
