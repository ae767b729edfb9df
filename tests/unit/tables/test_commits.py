"""Commits that carry a number: each number once, whatever the writer has read before."""

from __future__ import annotations

import polars as pl
import pytest

from include.tables.commits import Commit, last_note, overwrite
from include.tables.fence import Overtaken
from include.tables.store import TableStore

ROWS = pl.DataFrame({"score": [0.1, 0.2]}).to_arrow()


def commit(number: int, note: str = "first") -> Commit:
    return Commit("note", note, mark=("scoring January", number))


def test_of_two_writers_with_one_number_the_second_is_overtaken(root: str) -> None:
    tables = TableStore(root)
    overwrite(tables, "predictions", ROWS, commit(1))
    # It read the table before the first one wrote, and comes to write after it.
    with pytest.raises(Overtaken, match="number 1 of 'scoring January'"):
        overwrite(tables, "predictions", ROWS, commit(1, "second"))
    assert tables.version("predictions") == 0
    assert last_note(tables, "predictions", "note") == "first"
    overwrite(tables, "predictions", ROWS, commit(2, "again"))
    assert tables.offset("predictions", "scoring January") == 2


def test_a_commit_without_a_number_is_written_as_often_as_it_comes(root: str) -> None:
    tables = TableStore(root)
    for note in ("first", "second"):
        overwrite(tables, "predictions", ROWS, Commit("note", note))
    assert last_note(tables, "predictions", "note") == "second"
