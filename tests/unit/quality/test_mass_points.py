"""A number that stands for a missing one may lie inside of the declared range: its share tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from include.interval import Interval
from include.quality.column_checks import check_column
from include.quality.delivery import Delivery
from include.quality.profiles import profile
from include.quality.references import Reference
from include.spec import Column, DataChecks, Table
from include.verdict import Finding
from tests.unit.model.synthetic import START, USE_CASE

ROWS = 4000
RANDOM = np.random.default_rng(5)
DAY = Interval(START, START + timedelta(days=1))
WIDE = RANDOM.uniform(10.0, 6000.0, ROWS)
FEW = RANDOM.choice([10.0, 20.0, 30.0], ROWS)


def in_part(values: np.ndarray, share: float, value: float | None) -> np.ndarray:
    chosen = RANDOM.permutation(len(values)) < share * len(values)
    return np.where(chosen, np.nan if value is None else value, values)


def judge(
    values: np.ndarray, *references: np.ndarray, **declared: Any
) -> tuple[Finding | None, str]:
    column = Column(name="distance", type="number", minimum=0, maximum=6000, **declared)
    table = Table(
        name="raw/x",
        key=("id",),
        time_column=None,
        columns=(Column(name="id", type="string"), column),
    )
    frame = pl.DataFrame({"distance": values}).fill_nan(None)
    others = []
    for number, part in enumerate(references):
        old = profile(pl.Series(part).fill_nan(None))
        assert old is not None
        others.append(Reference(f"reference {number}", ROWS, {"distance": old}))
    case = USE_CASE.model_copy(update={"data_checks": DataChecks()})
    new = profile(frame["distance"])
    assert new is not None
    delivery = Delivery(case, table, frame, DAY, others, [], frozenset())
    return check_column(delivery, column, new)


def test_a_sentinel_in_three_of_ten_rows_is_refused_by_value_share_and_row():
    failure, _ = judge(in_part(WIDE, 0.3, 999.0), WIDE)
    assert failure is not None
    assert (failure.rule, failure.part) == ("mass point", "distance")
    assert "of the values are 999" in str(failure.observed)
    assert "0.300 from reference 0" in str(failure.observed)
    assert failure.example == {"distance": 999.0}


@pytest.mark.parametrize("share", [0.12, 0.2, 0.6, 1.0])
def test_any_share_above_the_limit_is_refused_and_named_whichever_rule_sees_it_first(share):
    failure, _ = judge(in_part(WIDE, share, 999.0), WIDE)
    assert failure is not None
    assert (failure.rule == "mass point") == (share < 0.3)
    assert f"{share:.2%} of the values are 999, hardly any before" in str(failure.observed)


@pytest.mark.parametrize(
    ("new", "references"),
    [
        (WIDE, (RANDOM.permutation(WIDE),)),
        (in_part(WIDE, 0.08, 999.0), (WIDE,)),
        (FEW, (in_part(FEW, 0.5, 10.0),)),
        (in_part(WIDE, 0.3, 0.0), (in_part(WIDE, 0.2, 0.0),)),
        (in_part(WIDE, 0.3, 0.0), (WIDE, in_part(WIDE, 0.25, 0.0))),
        (in_part(WIDE, 0.25, None), (WIDE,)),
    ],
    ids=["none", "few rows", "few values", "mass before", "mass in one reference", "nulls"],
)
def test_what_was_there_before_and_what_is_missing_is_no_new_mass(new, references):
    assert judge(new, *references)[0] is None


def test_a_column_may_have_a_limit_of_its_own():
    new = in_part(WIDE, 0.2, 999.0)
    assert judge(new, WIDE, max_new_mass=0.25)[0] is None
    failure, _ = judge(in_part(WIDE, 0.05, 999.0), WIDE, max_new_mass=0.03)
    assert failure is not None
    assert "at most 0.03" in str(failure.limit)


def test_few_rows_are_not_judged():
    failure, note = judge(in_part(WIDE, 0.3, 999.0)[:900], WIDE)
    assert failure is None
    assert "1000 needed" in note


def test_a_new_value_of_whole_numbers_is_one_too():
    failure, _ = judge(in_part(FEW, 0.3, 25.0), FEW)
    assert failure is not None
    assert failure.rule == "mass point"
