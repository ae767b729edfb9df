from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from include.interval import Interval
from include.quality.data_docs import write_docs
from include.quality.quarantine import REASONS, put_aside, quarantine_name
from include.quality.validation import validate
from include.spec import Column, Table
from include.tables.store import TableStore
from include.verdict import DATA_COLUMNS

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:great_expectations"),
    pytest.mark.slow,
]
TABLE = Table(
    name="raw/things",
    key=("name",),
    time_column=None,
    columns=(Column(name="name", type="string"), Column(name="size", type="number", maximum=5)),
)
DAY = Interval(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))
FRAME = pl.DataFrame({"name": ["a", "b"], "size": [1.0, 7.5]})


def test_the_pages_show_what_failed_and_ask_no_other_host(tmp_path: Path):
    validation = validate(TABLE, FRAME)
    failures = [failure.as_row(DATA_COLUMNS) for failure in validation.failures]
    verdict = {"accepted": False, "failures": failures, "warnings": ["a <new> column"], "notes": []}
    index = write_docs(tmp_path, "Things", {TABLE.name: validation.document}, verdict)
    page = tmp_path / "raw_things.html"
    assert 'href="raw_things.html"' in index.read_text()
    assert "between None and 5.0" in index.read_text()
    assert "a &lt;new&gt; column" in index.read_text()
    assert "raw_things" in page.read_text()
    assert "7.5" in page.read_text()
    for file in (index, page):
        assert "http" not in file.read_text()
        assert "<script" not in file.read_text()


def test_failed_only_hides_the_rows_that_passed_and_no_other_without_a_script(tmp_path: Path):
    validation = validate(TABLE, FRAME)
    verdict = {"accepted": False, "failures": []}
    write_docs(tmp_path, "Things", {TABLE.name: validation.document}, verdict)
    text = (tmp_path / "raw_things.html").read_text()
    button = re.search(r'<input type="radio"[^>]*id="([^"]+)"[^>]*> Failed Only', text)
    assert button is not None
    hidden = "hide-succeeded-validation-target-child"
    assert f"body:has(#{button[1]}:checked) tr:has(>.{hidden})" in text
    # A row begins with the cell that says how it ended.
    rows = re.findall(
        r'<tr>\s*<td id="[^"]+"([^>]*)><div[^>]*>\s*<span >\s*<i class="([^"]*)"', text
    )
    assert {(hidden in cell, "text-success" in icon) for cell, icon in rows} == {
        (True, True),
        (False, False),
    }


def test_refused_rows_are_put_aside_with_their_reasons(tmp_path: Path):
    tables = TableStore(str(tmp_path))
    odd = FRAME.with_columns(nothing=pl.lit(None))
    version = put_aside(tables, TABLE.name, odd, DAY, ["too big"])
    assert (
        version["name"]
        == quarantine_name(TABLE.name, DAY)
        == "quarantine/things/2013-01-01T00-00_2013-01-02T00-00"
    )
    kept = tables.read(version["name"])
    assert kept.select(FRAME.columns).equals(FRAME)
    assert [json.loads(reasons) for reasons in kept[REASONS]] == [["too big"]] * 2
    assert put_aside(tables, TABLE.name, odd, DAY, ["too big"]) == version
