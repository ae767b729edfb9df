from __future__ import annotations

import json
import os

import pytest

from include.errors import PlatformError
from proofs.bench.measure import Measured, median, run_child
from proofs.bench.rows import Row, table, write


def test_a_ratio_is_reached_missed_or_not_judged():
    assert Row("a", 1.2, 1.3, "").reached is True
    assert Row("a", 1.4, 1.3, "").reached is False
    assert Row("a", None, 1.3, "").reached is False, (
        "what could not be measured has not reached its aim"
    )
    assert Row("a", 9.0, None, "").reached is None


def test_rows_are_printed_and_written_as_promised(tmp_path):
    rows = [
        Row("join", 1.25, 1.3, "0.1 s"),
        Row("feast", 290.0, None, "23 s"),
        Row("dag", None, 1.5, "stopped"),
    ]
    lines = table(rows).splitlines()
    assert lines[1].split() == ["join", "1.25", "1.3", "reached", "0.1", "s"]
    assert lines[3].split() == ["dag", "-", "1.5", "MISSED", "stopped"]
    write(tmp_path / "bench" / "training.json", rows)
    written = json.loads((tmp_path / "bench" / "training.json").read_text())
    assert written[0] == {
        "name": "join",
        "ratio": 1.25,
        "aim": 1.3,
        "reached": True,
        "detail": "0.1 s",
    }
    assert [row["reached"] for row in written] == [True, None, False]


def test_a_child_is_stopped_at_its_limits_and_says_so(tmp_path):
    arguments = {"rows": 1, "path": str(tmp_path / "rows.parquet")}
    late = run_child("entities", arguments, os.environ, time_limit=0.05)
    assert late.stopped == "stopped after 0 s"
    large = run_child("entities", arguments, os.environ, memory_limit_mb=1)
    assert large.stopped.startswith("stopped at 0.0 GB")
    assert large.peak_mb > 1


def test_a_child_that_fails_is_an_error_with_its_last_words(tmp_path):
    with pytest.raises(PlatformError, match=r"(?s)entities.*TableNotFound"):
        run_child("entities", {"rows": 1}, {**os.environ, "FLIGHTDECK_HOME": str(tmp_path)})


def test_medians_are_of_the_number_asked_for():
    group = [Measured(1.0, 10.0, 300.0), Measured(3.0, 30.0, 100.0), Measured(2.0, 20.0, 200.0)]
    assert (median(group), median(group, "wall"), median(group, "peak_mb")) == (2.0, 20.0, 200.0)
