"""The examples are small, and become use cases of a checkout beside those that it has."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from cli.application import run
from cli.authoring import examples
from include.errors import SpecError
from include.settings import PROJECT_ROOT

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
