"""A running process learns of new use cases and forgets removed ones, and one that serves stays."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import include.use_cases
from include import catalogue
from include.settings import load_settings
from serving.models.catalogue_follower import CatalogueFollower
from serving.models.watcher import ModelWatcher

SPEC = """
from tests.unit.model.synthetic import USE_CASE as PARCELS
USE_CASE = PARCELS.model_copy(update={{"name": "{name}", "title": "{title}"}})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout without a use case."""
    use_cases = tmp_path / "use_cases"
    use_cases.mkdir()
    monkeypatch.setattr(include.use_cases, "__path__", [str(use_cases)])
    monkeypatch.setattr(catalogue, "FOLDER", use_cases)
    before = set(sys.modules)
    yield use_cases
    for name in set(sys.modules) - before:
        if name.startswith("include.use_cases."):
            del sys.modules[name]


def declare(folder: Path, name: str, title: str = "A title") -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "spec.py").write_text(SPEC.format(name=name, title=title))


def follow(watcher: ModelWatcher) -> None:
    follower = watcher._catalogue
    assert follower is not None
    follower.look()


@pytest.fixture
def watcher(folder: Path, tmp_path: Path) -> ModelWatcher:
    return ModelWatcher(
        load_settings({"FLIGHTDECK_HOME": str(tmp_path / "home")}), {}, follows=True
    )


def test_a_new_use_case_is_answered_and_a_removed_one_is_not(
    folder: Path, watcher: ModelWatcher
) -> None:
    declare(folder, "letters")
    follow(watcher)
    assert list(watcher.slots) == ["letters"]
    assert "pickup" in watcher.contracts.schemas["letters"].types
    assert list(watcher.contracts.feedback) == ["letters"]
    shutil.rmtree(folder / "letters")
    follow(watcher)
    assert list(watcher.slots) == []
    assert list(watcher.contracts.schemas) == []


def test_a_specification_that_is_wrong_is_tried_again_when_it_is_edited(
    folder: Path, watcher: ModelWatcher
) -> None:
    (folder / "letters").mkdir()
    (folder / "letters" / "spec.py").write_text("USE_CASE = no_such_name\n")
    follow(watcher)
    assert list(watcher.slots) == []
    declare(folder, "letters", "First")
    follow(watcher)
    assert watcher.contracts.use_cases["letters"].title == "First"
    declare(folder, "letters", "Second, and longer")
    follow(watcher)
    assert watcher.contracts.use_cases["letters"].title == "Second, and longer"


def test_a_use_case_that_serves_outlives_its_folder_until_it_is_retired(folder: Path) -> None:
    declare(folder, "letters")
    slot = SimpleNamespace(in_service=True)
    added: list[str] = []
    dropped: list[str] = []
    follower = CatalogueFollower(
        cast("Any", {"letters": slot}), lambda use_case: added.append(use_case.name), dropped.append
    )
    declare(folder, "letters", "Another title of the one that serves")
    follower.look()
    shutil.rmtree(folder / "letters")
    follower.look()
    assert (added, dropped) == ([], [])
    slot.in_service = False
    follower.look()
    assert dropped == ["letters"]
