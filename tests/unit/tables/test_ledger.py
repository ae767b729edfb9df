"""Ledgers under real parallel processes: nothing lost, nothing twice, no version for nothing."""

import subprocess
import sys

import polars as pl
import pytest

from include.settings import PROJECT_ROOT
from include.tables.ledger import Ledger
from include.tables.store import TableStore

SCHEMA = {"who": pl.Int64, "number": pl.Int64, "text": pl.String}
WRITER = """
import sys
import polars as pl
from include.tables.ledger import Ledger
from include.tables.store import TableStore

root, method, who = sys.argv[1], sys.argv[2], int(sys.argv[3])
schema = {"who": pl.Int64, "number": pl.Int64, "text": pl.String}
ledger = Ledger(TableStore(root), "ledger", schema, key=("who", "number"))
for number in range(3):
    rows = pl.DataFrame([{"who": who, "number": number, "text": "x"}], schema=schema)
    if method == "amend":
        ledger.amend(lambda current: pl.concat([current, rows]))
    else:
        getattr(ledger, method)(rows)
"""


@pytest.fixture
def ledger(root: str) -> Ledger:
    return Ledger(TableStore(root), "ledger", SCHEMA, key=("who", "number"))


def row(who: int, number: int, text: str) -> pl.DataFrame:
    return pl.DataFrame([{"who": who, "number": number, "text": text}], schema=SCHEMA)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "method"),
    [
        *(("folder", method) for method in ("append", "add", "upsert", "amend")),
        *(("s3", method) for method in ("append", "amend")),
    ],
    indirect=["root"],
)
def test_concurrent_writers_lose_nothing(root: str, ledger: Ledger, method: str) -> None:
    ledger.add(row(9, 9, "first"))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, root, method, str(who)], cwd=PROJECT_ROOT)
        for who in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    assert ledger.read().select("who", "number").sort("who", "number").rows() == [
        *((who, number) for who in range(3) for number in range(3)),
        (9, 9),
    ]


@pytest.mark.slow
def test_two_processes_may_make_the_table_at_the_same_time(root: str, ledger: Ledger) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, root, "upsert", str(who)], cwd=PROJECT_ROOT)
        for who in range(2)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    assert ledger.read().height == 6


def test_the_same_rows_again_make_no_new_version(ledger: Ledger) -> None:
    ledger.upsert(row(1, 1, "a"))
    version = ledger.tables.version("ledger")
    ledger.upsert(row(1, 1, "a"))
    ledger.add(row(1, 1, "another text of a row that is there"))
    ledger.amend(lambda rows: rows)
    assert ledger.tables.version("ledger") == version
    assert ledger.read().rows() == [(1, 1, "a")]


def test_upsert_replaces_the_rows_of_its_keys_only(ledger: Ledger) -> None:
    ledger.upsert(pl.concat([row(1, 1, "a"), row(2, 1, "b")]))
    ledger.upsert(row(1, 1, "c"))
    assert sorted(ledger.read().rows()) == [(1, 1, "c"), (2, 1, "b")]


def test_an_older_table_gains_the_columns_that_it_lacks(root: str, ledger: Ledger) -> None:
    older = {name: SCHEMA[name] for name in ("who", "number")}
    Ledger(ledger.tables, "ledger", older, key=("who",)).add(row(1, 1, "").select(*older))
    assert ledger.read().rows() == [(1, 1, None)]
    ledger.upsert(row(2, 2, "b"))
    assert sorted(ledger.read().rows()) == [(1, 1, None), (2, 2, "b")]
