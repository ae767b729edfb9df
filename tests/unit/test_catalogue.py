from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import include.use_cases
from cli.application import invoke
from include import catalogue
from include.errors import SpecError
from include.settings import PROJECT_ROOT, load_settings
from include.spec import FunctionSource, ParquetSource, Table, UseCase
from include.use_cases.flight_delays.spec import USE_CASE
from serving.engine.runtime import Runtime


@pytest.fixture
def parcels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder beside the use cases of the checkout, from which Python imports too."""
    folder = tmp_path / "parcels"
    folder.mkdir()
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(include.use_cases, "__path__", [str(tmp_path)])
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    before = set(sys.modules)
    yield folder
    for name in [name for name in sys.modules if name.startswith("include.use_cases.")]:
        if name not in before:
            del sys.modules[name]


def test_every_use_case_with_a_dag_file_is_listed():
    files = {path.stem for path in (PROJECT_ROOT / "dags").glob("*.py")} - {"__init__"}
    assert files <= set(catalogue.names())
    valid, refused = catalogue.load_valid()
    assert list(valid) == catalogue.names()
    assert refused == {}


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


def with_sources(*sources: object, **changes: object) -> UseCase:
    """The flights under the name parcels, their tables with these sources in turn."""
    tables: list[Table] = [
        table.model_copy(update={"source": sources[number % len(sources)]})
        for number, table in enumerate(USE_CASE.tables)
    ]
    return USE_CASE.model_copy(update={"name": "parcels", "tables": tuple(tables), **changes})


def test_data_py_defines_what_the_tables_leave_to_it(parcels: Path):
    file = ParquetSource(path="a.parquet")
    function = FunctionSource(function="read_rows")
    assert catalogue.data_functions(USE_CASE) == ["read_source", "compute_features"]
    assert catalogue.data_functions(with_sources(file)) == ["compute_features"]
    assert catalogue.data_functions(with_sources(file, function)) == [
        "read_rows",
        "compute_features",
    ]
    nothing = with_sources(file, feature_tables=())
    assert vars(catalogue.load_data_module(nothing)).get("read_source") is None
    with pytest.raises(SpecError, match=r"parcels/data\.py must exist and define.*read_rows"):
        catalogue.load_data_module(with_sources(function))
    (parcels / "data.py").write_text("def raed_rows(interval):\n    return None\n")
    with pytest.raises(SpecError, match=r"must define.*\['read_rows'.*did you mean 'raed_rows'"):
        catalogue.load_data_module(with_sources(function))


WRONG = {
    "a name that is not there": ("NUMBER = 1\nUSE_CASE = no_such_name\n", "line 2: NameError: "),
    "no Python": ("USE_CASE = (\n", "SyntaxError: "),
    "a library that is not there": ("import no_such_library\n", "line 1: ModuleNotFoundError: "),
    "an exit": ("raise SystemExit(0)\n", "line 1: SystemExit: "),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG)
def test_a_specification_that_cannot_be_read_is_named_and_stops_no_other(
    text: str, why: str, parcels: Path, capsys: pytest.CaptureFixture[str]
):
    (parcels / "spec.py").write_text(text)
    letters = parcels.parent / "letters"
    letters.mkdir()
    (letters / "spec.py").write_text(
        "from tests.unit.model.synthetic import USE_CASE\n"
        'USE_CASE = USE_CASE.model_copy(update={"name": "letters"})\n'
    )
    valid, refused = catalogue.load_valid()
    assert list(valid) == ["letters"]
    assert list(refused) == ["parcels"]
    reason = f"include/use_cases/parcels/spec.py cannot be imported: {why}"
    assert refused["parcels"].startswith(reason)
    settings = load_settings({"FLIGHTDECK_HOME": str(parcels.parent / "home")})
    assert list(Runtime(settings).use_cases) == ["letters"]
    assert invoke(["datasets", "list"], settings) == 0
    printed = capsys.readouterr()
    assert "letters" in printed.out
    assert printed.err.startswith(reason)
