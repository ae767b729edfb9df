"""Writers that come late or at the same moment: one effect, and a refusal by name."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier

import polars as pl
import pytest

from include.errors import LateStep
from include.tables.fence import Fence
from include.tables.store import TIMESTAMP, TableStore, TableVersion

START = datetime(2013, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=31)
WRITERS = 4


def rows(value: int, month: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"at": [START + month * MONTH], "value": [value]}).with_columns(
        pl.col("at").cast(TIMESTAMP)
    )


def write(
    tables: TableStore, value: int, month: int = 0, fence: Fence | None = None
) -> TableVersion:
    start = START + month * MONTH
    return tables.replace_window(
        "raw/rows",
        rows(value, month),
        time_column="at",
        start=start,
        end=start + MONTH,
        fence=fence,
    )


def fence(number: int) -> Fence:
    return Fence("ingest 2013-01", number, f"publish_tables of run a (try {number})")


def test_a_late_writer_is_refused_by_name_and_changes_nothing(root: str) -> None:
    tables = TableStore(root)
    write(tables, 1, fence=fence(3))
    corrected = write(tables, 2, fence=fence(4))
    with pytest.raises(
        LateStep, match=r"publish_tables of run a \(try 3\) is late: raw/rows holds"
    ):
        write(tables, 1, fence=fence(3))
    assert tables.version("raw/rows") == corrected.version
    assert tables.read("raw/rows")["value"].to_list() == [2]
    assert write(tables, 2, fence=fence(4)) == corrected  # a retry of the newest
    write(tables, 5, month=1, fence=Fence("ingest 2013-02", 0, "another interval"))


def test_a_late_writer_of_a_whole_table_is_refused_too(root: str) -> None:
    tables = TableStore(root)
    tables.replace_all("raw/rows", rows(1), fence=fence(1))
    with pytest.raises(LateStep):
        tables.replace_all("raw/rows", rows(2), fence=fence(0))


def _write_at_once(root: str, number: int, barrier: Barrier, kind: str) -> None:
    tables = TableStore(root)
    for step in range(5):
        barrier.wait(60)
        if kind == "the same window":
            write(tables, step, fence=fence(step))
        elif kind == "windows of their own":
            write(tables, step, month=number)
        else:
            tables.replace_all("raw/rows", rows(step))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "kind"),
    [
        ("folder", "the same window"),
        ("folder", "windows of their own"),
        ("folder", "the whole table"),
        ("s3", "windows of their own"),
    ],
    indirect=["root"],
)
def test_writers_at_the_same_moment_have_one_effect(root: str, kind: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(WRITERS)
    writers = [
        spawn.Process(target=_write_at_once, args=(root, number, barrier, kind))
        for number in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    tables = TableStore(root)
    written = WRITERS if kind == "windows of their own" else 1
    assert tables.read("raw/rows")["value"].to_list() == [4] * written
    assert tables.version("raw/rows") == 5 * written - 1


def test_two_first_writers_make_one_table_with_each_row_once(root: str) -> None:
    frame = pl.DataFrame({"value": range(2000)})
    for trial in range(12):
        tables, barrier = TableStore(f"{root}/{trial}"), threading.Barrier(2)

        def first_write(tables: TableStore = tables, barrier: threading.Barrier = barrier) -> int:
            barrier.wait(30)
            return tables.replace_all("raw/rows", frame).version

        with ThreadPoolExecutor(2) as writers:
            both = [writers.submit(first_write) for _ in range(2)]
        assert [done.result() for done in both] == [0, 0]
        assert tables.read("raw/rows").height == frame.height
