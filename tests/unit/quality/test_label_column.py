"""A label of 0 and 1 is judged by its share; the number or the words of another problem's label
like any other column.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from include.quality.column_checks import Compared
from tests.unit.problems.problem_cases import use_case


@pytest.mark.parametrize(
    ("problem", "column", "share"), [("binary", "late", True), ("regression", "minutes", False)]
)
def test_only_a_binary_label_is_judged_by_its_share(problem, column, share):
    case = use_case(problem)
    table = case.table("raw/deliveries")
    declared = next(part for part in table.columns if part.name == column)
    new = SimpleNamespace(kind="number")
    compared = Compared(SimpleNamespace(table=table, use_case=case), declared, new, [], [])
    assert compared.is_label is share
    assert compared.has_distribution is not share
