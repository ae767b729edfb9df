"""The examples are small, and become use cases of a checkout beside those that it has."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from cli.application import run
from cli.authoring import examples
from cli.authoring.files import paths
from include.errors import SpecError
from include.settings import PROJECT_ROOT
from tests.copies import in_copy, project_copy

MOST_LINES = 200
NAMES = examples.examples(PROJECT_ROOT)
PARTS = {"spec", "data", "features", "dag", "rows"}


def test_there_is_an_example():
    assert "state_births" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_five_files_of_at_most_200_lines_in_all(name: str):
    files = sorted((PROJECT_ROOT / examples.EXAMPLES / name).glob("*.py"))
    assert {file.stem for file in files} == PARTS
    assert sum(len(file.read_text().splitlines()) for file in files) <= MOST_LINES


def test_all_are_listed_and_a_misspelt_one_is_refused(capsys):
    assert run(["add-example"]) == 0
    assert "state_births     Births of each state" in capsys.readouterr().out
    with pytest.raises(SpecError, match="did you mean 'state_births'"):
        examples.add_example("state_birth", rows_only=False)


@pytest.mark.parametrize("theirs", [b"no parquet", None])
def test_a_file_of_other_rows_is_not_overwritten(tmp_path: Path, theirs: bytes | None):
    shutil.copytree(PROJECT_ROOT / examples.EXAMPLES, tmp_path / examples.EXAMPLES)
    path = examples.write_rows(tmp_path, "state_births")
    assert examples.write_rows(tmp_path, "state_births") == path
    if theirs is None:
        pl.read_parquet(path).head(5).write_parquet(path)
    else:
        path.write_bytes(theirs)
    before = path.read_bytes()
    with pytest.raises(SpecError, match=r"data/state_births.parquet .* move it away"):
        examples.write_rows(tmp_path, "state_births")
    assert path.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_becomes_a_use_case_that_holds_beside_the_others(name: str, tmp_path: Path):
    copy = project_copy(tmp_path / "copy")
    added = in_copy(copy, [".venv/bin/flightdeck", "add-example", name], ENV="test")
    assert added.returncode == 0, added.stdout
    assert f"Wrote data/{name}.parquet." in added.stdout
    for part, path in paths(copy, name).items():
        example = PROJECT_ROOT / examples.EXAMPLES / name / f"{part}.py"
        assert path.read_text() == example.read_text()
    assert pl.read_parquet(copy / "data" / f"{name}.parquet").height > 1000
    checked = in_copy(copy, [".venv/bin/flightdeck", "check", name], ENV="test")
    assert checked.returncode == 0, checked.stdout
    assert f"{name}: what is declared can be" in checked.stdout
