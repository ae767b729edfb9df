"""Evidently's report is built of what each problem answers."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from include.interval import Interval
from include.monitoring.report import render, sides
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
    page, details = render(case, compared, interval, 1, made.model)
    assert page.count("<h1>") == 1
    assert all(name in page for name in ANSWERED[problem])
    assert details["metrics"]
