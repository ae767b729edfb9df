from __future__ import annotations

from pathlib import Path

import pytest

import include.use_cases
from include import catalogue
from include.errors import SpecError
from include.settings import PROJECT_ROOT


@pytest.fixture
def parcels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the use cases of the checkout, from which Python imports too."""
    folder = tmp_path / "parcels"
    folder.mkdir()
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(include.use_cases, "__path__", [str(tmp_path)])
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    return folder


def test_every_use_case_with_a_dag_file_is_listed():
    files = {path.stem for path in (PROJECT_ROOT / "dags").glob("*.py")} - {"__init__"}
    assert files <= set(catalogue.names())
    assert list(catalogue.load_all()) == catalogue.names()


def test_a_folder_without_a_specification_is_no_use_case(parcels: Path):
    assert catalogue.names() == []
    (parcels / "spec.py").write_text("")
    assert catalogue.names() == ["parcels"]


def test_an_unknown_use_case_is_refused_with_those_that_exist():
    with pytest.raises(SpecError, match=r"no include/use_cases/trains/spec\.py.*flight_delays"):
        catalogue.load_use_case("trains")


def test_a_module_that_the_use_case_does_not_have_is_none(parcels: Path):
    assert catalogue.find_module("parcels", "artefacts") is None
    assert catalogue.find_module("letters", "artefacts") is None


def test_a_module_that_imports_what_is_not_there_is_named_and_not_taken_for_missing(parcels: Path):
    (parcels / "tariffs.py").write_text("import no_such_library\n")
    with pytest.raises(SpecError, match=r"parcels/tariffs\.py cannot be imported.*no_such_library"):
        catalogue.find_module("parcels", "tariffs")
