from __future__ import annotations

import ast
import json
import os
import subprocess
import sys

import pytest

from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from proofs.bench.child import TASKS
from proofs.bench.measure import Measured, median, run_child
from proofs.bench.rows import Row, line, show, write
from proofs.bench.training.main import require_evaluated


def test_a_ratio_is_reached_missed_or_not_judged():
    assert Row("a", 1.2, 1.3, "").reached is True
    assert Row("a", 1.4, 1.3, "").reached is False
    assert Row("a", None, 1.3, "").reached is False, (
        "what could not be measured has not reached its aim"
    )
    assert Row("a", 9.0, None, "").reached is None


ROWS = [
    Row("join", 1.25, 1.3, "0.1 s"),
    Row("feast", 290.0, None, "23 s"),
    Row("dag", None, 1.5, "stopped"),
]


def test_rows_are_written_as_promised(tmp_path):
    write(tmp_path / "bench" / "training.json", [row.as_json() for row in ROWS])
    written = json.loads((tmp_path / "bench" / "training.json").read_text())
    assert written[0] == {
        "name": "join",
        "ratio": 1.25,
        "aim": 1.3,
        "reached": True,
        "detail": "0.1 s",
    }
    assert [row["reached"] for row in written] == [True, None, False]


def test_rows_are_printed_with_what_became_of_each(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    show([row.as_json() for row in ROWS])
    printed = [text.split() for text in capsys.readouterr().out.splitlines()]
    assert ["join", "1.25", "1.3", "reached", "0.1", "s"] in printed
    assert ["feast", "290.00", "-", "-", "23", "s"] in printed
    assert ["dag", "-", "1.5", "MISSED", "stopped"] in printed
    assert [line(row) for row in ROWS] == [
        "join: 1.25 (aim 1.3, reached)",
        "feast: 290.00",
        "dag: - (aim 1.5, MISSED)",
    ]


def test_rows_read_at_80_columns_with_every_word_of_their_detail(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    detail = "the whole life of a process against that of another, " * 6
    show([Row("point-in-time join, 336,776 rows", 1.25, 1.3, detail.strip()).as_json()])
    printed = capsys.readouterr().out
    assert all(len(text) <= 80 for text in printed.splitlines())
    assert " ".join(detail.split()) in " ".join(printed.split())


@pytest.mark.parametrize("name", TASKS)
def test_a_task_of_a_child_is_there_and_imports_no_other_task(name):
    # What a process imports counts in its time and memory.
    module, _, function = TASKS[name].partition(":")
    path = PROJECT_ROOT / f"{module.replace('.', '/')}.py"
    tree = ast.parse(path.read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert [name for name in imported if ".tasks" in str(name)] == []


def test_the_bare_script_names_its_second_half_and_leaves_its_import_to_the_clock():
    code = (
        "import sys; from proofs.bench.training.tasks import bare; from importlib.util import"
        " find_spec; print(find_spec(bare.MODEL) is not None, bare.MODEL in sys.modules,"
        " 'include.evaluation.evaluate' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["True", "False", "False"]


def test_a_child_is_stopped_at_its_limits_and_says_so(tmp_path):
    arguments = {"rows": 1, "path": str(tmp_path / "rows.parquet")}
    late = run_child("entities", arguments, os.environ, time_limit=0.05)
    assert late.stopped == "stopped after 0 s"
    large = run_child("entities", arguments, os.environ, memory_limit_mb=1)
    assert large.stopped.startswith("stopped at 0.0 GB")
    assert large.peak_mb > 1


@pytest.mark.slow
def test_a_child_that_fails_is_an_error_with_its_last_words(tmp_path):
    with pytest.raises(PlatformError, match=r"(?s)entities.*TableNotFound"):
        run_child("entities", {"rows": 1}, {**os.environ, "FLIGHTDECK_HOME": str(tmp_path)})


def test_medians_are_of_the_number_asked_for():
    group = [Measured(1.0, 10.0, 300.0), Measured(3.0, 30.0, 100.0), Measured(2.0, 20.0, 200.0)]
    assert (median(group), median(group, "wall"), median(group, "peak_mb")) == (2.0, 20.0, 200.0)


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (Measured(57.0, 58.0, 300.0, {"tasks": {"open_run": {"state": "failed"}}}), "open_run"),
        (Measured(600.0, 600.0, 300.0, stopped="stopped after 600 s"), "stopped after 600 s"),
    ],
)
def test_a_run_that_evaluated_no_model_is_no_figure(run, why):
    with pytest.raises(PlatformError, match=why):
        require_evaluated(run)


def test_a_candidate_that_its_gates_refuse_was_measured():
    states = {"evaluate_model": {"state": "success"}, "check_gates": {"state": "failed"}}
    require_evaluated(Measured(90.0, 91.0, 300.0, {"tasks": states}))
