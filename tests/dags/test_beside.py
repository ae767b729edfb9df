"""Another use case beside the flights, under a name that sorts before theirs: tests that run over
every use case hold and run its contracts, and where its files are wrong it alone is stopped.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.copies import in_copy, project_copy

pytestmark = pytest.mark.slow

FIRST = "aa_births"
"""It sorts before `flight_delays`."""
BESIDE = (
    "tests/dags/test_contracts.py",
    "tests/dags/test_parse.py",
    "tests/dags/test_steps.py",
    "tests/unit/features/test_repository.py::test_a_home_from_before_these_notes_gets_them_once",
    "tests/unit/quality/test_expectations.py",
    "tests/unit/test_catalogue.py",
)
"""Tests of all use cases of a checkout, and one of each kind that adds files to those of the
flights.
"""
CONTRACTS = 4


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a use case that was written from an example's rows."""
    root = project_copy(tmp_path_factory.mktemp("beside") / "copy", "proofs", "tests")
    flightdeck = ".venv/bin/flightdeck"
    rows = [flightdeck, "add-example", "state_births", "--rows-only"]
    source = ["--from", "data/state_births.parquet", "--label", "births", "--time", "day"]
    for command in (rows, [flightdeck, "new-use-case", FIRST, *source]):
        done = in_copy(root, command, ENV="test")
        assert done.returncode == 0, done.stdout
    return root


def test_tests_of_all_use_cases_hold_beside_one_that_sorts_first(copy: Path):
    command = [".venv/bin/python", "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"]
    # The flights alone are tested where this test is.
    done = in_copy(copy, [*command, *BESIDE, "-k", "not flight_delays"])
    assert done.returncode == 0, done.stdout
    passed = re.findall(r"^PASSED \S+test_contracts\.py::(\S+)$", done.stdout, re.MULTILINE)
    assert [name.partition("[")[2] for name in passed] == [f"{FIRST}]"] * CONTRACTS, done.stdout


DOUBLED = """
again = key("other", "Another.", name="aa_births_by_state")
"""
WRONG = {
    f"feature_repo/{FIRST}.py": (DOUBLED, "entity 'aa_births_by_state' is defined twice"),
    f"include/use_cases/{FIRST}/data.py": ("def (\n", "cannot be imported: SyntaxError"),
    f"dags/{FIRST}.py": ("import no_such_library\n", "cannot be imported: ModuleNotFoundError"),
}
"""A file of the use case -> what is added to it, and what is said of it."""


def test_files_that_are_wrong_are_named_and_stop_no_other_use_case(copy: Path):
    for file, (added, _) in WRONG.items():
        with (copy / file).open("a") as text:
            text.write(added)
    done = in_copy(copy, [".venv/bin/flightdeck", "check"], ENV="test")
    assert done.returncode == 1, done.stdout
    for file, (_, reason) in WRONG.items():
        assert re.search(rf"{re.escape(file)}:? .*{re.escape(reason)}", done.stdout), done.stdout
    assert "flight" not in done.stdout
