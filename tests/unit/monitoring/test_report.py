"""Evidently's report is built of what each problem answers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from evidently.ui.workspace import Workspace

from include.interval import Interval
from include.monitoring.overview.evidently_ui import keep_run, project_id
from include.monitoring.report import Rendered, render, sides
from include.settings import load_settings
from include.tables.store import TableStore
from tests.unit.model.synthetic import DAYS, START
from tests.unit.problems.problem_cases import rows, trained, use_case

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ANSWERED = {
    "binary": {"score"},
    "regression": {"score"},
    "multiclass": {"score", "predicted_class"},
}


@pytest.mark.parametrize("problem", ANSWERED)
def test_a_report_shows_the_answers_of_its_problem(problem: str, tmp_path):
    case = use_case(problem)
    made = trained(case, tmp_path / "home")
    tables = TableStore(str(tmp_path / "tables"))
    tables.replace_all(made.model.metadata.snapshot.name, rows())
    new = rows(1500, seed=7)
    answered = made.model.metadata.answers.columns(made.model.score_frame(new))
    compared = sides(case, tables, made.model, new.with_columns(answered))
    names = {item.name for item in case.inputs}
    assert set(compared.current.columns) | set(compared.left_out) == names | ANSWERED[problem]
    assert compared.reference.schema == compared.current.schema
    if problem == "multiclass":
        assert compared.current.schema["predicted_class"] == pl.String
        assert "predicted_class" in compared.categories
    interval = Interval(START, START + timedelta(days=DAYS))
    rendered = render(case, compared, interval, 1, made.model)
    assert rendered.page.count("<h1>") == 1
    assert all(name in rendered.page for name in ANSWERED[problem])
    assert rendered.details["metrics"]
    assert_one_run_is_kept(case, interval, rendered, tmp_path)


def assert_one_run_is_kept(case, interval: Interval, rendered: Rendered, home: Path) -> None:
    """In the workspace of Evidently's UI where that is wanted, once however often it is written."""
    off = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(home)})
    keep_run(off, case, interval, rendered.run)
    assert not off.evidently_dir.exists()
    on = off.model_copy(update={"evidently_port": 8001})
    for _ in range(2):
        keep_run(on, case, interval, rendered.run)
    workspace = Workspace(str(on.evidently_dir))
    (run,) = workspace.list_runs(project_id(case))
    stored = workspace.get_run(project_id(case), run)
    assert stored is not None
    assert (stored.name, stored.timestamp) == (interval.text, interval.end.replace(tzinfo=None))
