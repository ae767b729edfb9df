"""Removing and renaming a use case moves its files alone, says what stays, and never in between."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import include.use_cases
from cli.application import invoke
from include import catalogue
from include.errors import ReleaseError, SpecError
from include.governance import leaving
from include.release.ledger import Ledger
from include.release.model_store import version_folder
from include.release.rollout.decisions import champion_arm, decide
from include.settings import Settings, load_settings
from tests.unit.model.synthetic import USE_CASE

SPEC = """
from tests.unit.model.synthetic import USE_CASE as PARCELS
from include.spec import UseCase

USE_CASE = UseCase(
    name="letters",
    **{name: value for name, value in dict(PARCELS).items() if name != "name"},
)
"""
READER = """
from include.use_cases.letters.spec import USE_CASE as LETTERS

USE_CASE = LETTERS.model_copy(
    update={"name": "readers", "tables": tuple(t%s for t in LETTERS.tables)}
)
"""
DAG = """'''The DAGs of letters, for Airflow.'''

from dags.factories import build_all

build_all("letters")
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with the use case letters and its DAG file."""
    folder, dags = tmp_path / "use_cases", tmp_path / "dags"
    (folder / "letters").mkdir(parents=True)
    dags.mkdir()
    (folder / "letters" / "spec.py").write_text(SPEC)
    (dags / "letters.py").write_text(DAG)
    monkeypatch.setattr(include.use_cases, "__path__", [str(folder)])
    monkeypatch.setattr(catalogue, "FOLDER", folder)
    monkeypatch.setattr(leaving, "dags_folder", lambda: dags)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("include.use_cases."):
            del sys.modules[name]


@pytest.fixture
def settings(checkout: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(checkout / "home")})


def declare_reader(checkout: Path, suffix: str) -> Path:
    folder = checkout / "use_cases" / "readers"
    folder.mkdir()
    (folder / "spec.py").write_text(READER % suffix)
    return folder / "spec.py"


def test_removing_lists_everything_and_moves_the_files_aside_on_demand(
    checkout: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke(["remove-use-case", "letters"], settings)
    said = capsys.readouterr().out
    for named in ("letters__*", "registered model", "ledger", "Nothing was changed"):
        assert named in said
    assert catalogue.names() == ["letters"]
    invoke(["remove-use-case", "letters", "--apply"], settings)
    assert catalogue.names() == []
    assert list((checkout / "dags").iterdir()) == []
    (aside,) = (settings.home / "removed").iterdir()
    assert sorted(path.name for path in aside.iterdir()) == ["dags-letters.py", "use_cases-letters"]
    assert (aside / "use_cases-letters" / "spec.py").read_text() == SPEC


def test_a_removal_that_was_ended_in_between_is_completed_by_the_next(
    checkout: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = shutil.move

    def ended(source: str, target: str) -> None:
        if Path(source).is_dir():
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "move", ended)
        with pytest.raises(KeyboardInterrupt):
            leaving.remove(settings, "letters")
    assert catalogue.load_use_case("letters").name == "letters"
    leaving.remove(settings, "letters")
    assert leaving.declaring_files("letters") == []
    kept = {path.name for path in (settings.home / "removed").glob("*/*")}
    assert kept == {"dags-letters.py", "use_cases-letters"}


def test_one_that_serves_is_not_removed(checkout: Path, settings: Settings) -> None:
    decide(
        settings,
        Ledger(settings),
        "promoted",
        4,
        "d" * 64,
        use_case=catalogue.load_use_case("letters"),
        arms=(champion_arm(4, "d" * 64),),
        actor="engineer",
        reason="test",
        evidence={},
        after=0,
    )
    assert not version_folder(settings, "letters", 4).exists()
    with pytest.raises(ReleaseError, match="Version 4 of letters serves: retire it first"):
        invoke(["remove-use-case", "letters", "--apply"], settings)
    with pytest.raises(ReleaseError, match="retire it first"):
        invoke(["rename-use-case", "letters", "posts", "--apply"], settings)
    assert catalogue.names() == ["letters"]


def test_one_whose_tables_another_reads_is_not_removed(checkout: Path, settings: Settings) -> None:
    declare_reader(checkout, '.from_use_case("letters")')
    with pytest.raises(ReleaseError, match=r"readers reads \['raw/parcels'.*letters writes"):
        invoke(["remove-use-case", "letters", "--apply"], settings)


def test_renaming_changes_folder_dag_file_and_imports(
    checkout: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = declare_reader(checkout, "")
    invoke(["rename-use-case", "letters", "posts", "--apply"], settings)
    assert catalogue.names() == ["posts", "readers"]
    assert catalogue.load_use_case("posts").tables == USE_CASE.tables
    assert "include.use_cases.posts.spec" in reader.read_text()
    (dag,) = (checkout / "dags").iterdir()
    assert (dag.name, dag.read_text()) == ("posts.py", DAG.replace("letters", "posts"))
    assert "backfill posts, train posts" in capsys.readouterr().out


def test_a_name_that_is_taken_or_impossible_is_refused_and_nothing_is_half_renamed(
    checkout: Path, settings: Settings
) -> None:
    for name in ("letters", "No-Name"):
        with pytest.raises(SpecError):
            leaving.check_new_name(name)
    (checkout / "use_cases" / "letters" / "spec.py").write_text(
        SPEC.replace('name="letters"', "name=str('letters')")
    )
    with pytest.raises(SpecError, match="a UseCase named 'posts'"):
        leaving.rename("letters", "posts")
    assert catalogue.names() == ["letters"]
