"""The coverage table lists every capability once, and every row that claims to be done names files
and tests that exist.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT

TABLE = PROJECT_ROOT / "docs" / "coverage.md"
ROW = re.compile(r"^\| ([A-J]\d+) \| (.+?) \| (done|part|open) \| (.*?) \| (.*?) \|$", re.MULTILINE)
COUNTS = {"A": 2, "B": 17, "C": 9, "D": 32, "E": 17, "F": 10, "G": 19, "H": 13, "I": 17, "J": 12}
ROWS = ROW.findall(TABLE.read_text())


def test_every_capability_has_one_row():
    numbers = [row[0] for row in ROWS]
    assert numbers == [
        f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)
    ]


def test_the_sum_above_the_table_is_the_tables():
    states = [row[2] for row in ROWS]
    done, part, left = (states.count(state) for state in ("done", "part", "open"))
    text = f"Of {len(ROWS)} rows: {done} done, {part} in part, {left} open."
    assert text in TABLE.read_text()


@pytest.mark.parametrize("row", [row for row in ROWS if row[2] != "open"], ids=lambda row: row[0])
def test_a_row_that_is_filled_names_a_file_and_a_test_that_exist(row):
    number, _, state, files, tests = row
    for name in re.findall(r"`([^`]+)`", files):
        assert (PROJECT_ROOT / name).exists(), f"docs/coverage.md {number}: {name} does not exist"
    references = re.findall(r"`([^`]+)`", tests)
    assert references or state == "part", f"docs/coverage.md {number} is done but names no test"
    for reference in references:
        path, _, function = reference.partition("::")
        assert f"def {function}(" in Path(PROJECT_ROOT / path).read_text(), (
            f"docs/coverage.md {number}: no test {reference}"
        )
