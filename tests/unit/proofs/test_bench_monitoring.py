"""The bench of monitoring: its simulations run on the shipped checks, and what they state would be
another figure if the checks were others.
"""

from __future__ import annotations

import numpy as np
import pytest

from include.spec import Monitoring
from proofs.bench.monitoring import false_alarms, power, signs
from proofs.bench.monitoring.false_alarms import Setting, count_alarms
from proofs.bench.monitoring.kinds import name_kinds
from proofs.bench.monitoring.others import evidently, plain_psi
from proofs.bench.monitoring.tasks.compare import ours, plain
from proofs.bench.monitoring.world import NUMBER, SHIFTS, planted, sample

NO_LIMITS = {
    (method, column): np.inf for method in power.OTHERS for column in ("number_0", "category_0")
}


@pytest.mark.slow
def test_undrifted_windows_are_quiet_where_evidently_is_not():
    counted = count_alarms(Setting(300, True, 3, 3), seed=1, windows=3, of_evidently=3)
    assert sum(counted.ours) == 0
    assert min(counted.evidently) > 3


def test_a_looser_level_shows_as_false_alarms(monkeypatch: pytest.MonkeyPatch):
    loose = Monitoring(minimum_rows=200).model_copy(update={"false_discovery": 50.0})
    monkeypatch.setattr(false_alarms, "LIMITS", loose)
    counted = count_alarms(Setting(300, False, 3, 0), seed=1, windows=3, of_evidently=0)
    assert sum(counted.ours) > 0


def test_a_large_change_alarms_at_once_and_none_never_does():
    found = power.delays("mean", 0.5, runs=2, seed=1, limits=NO_LIMITS)
    assert found.windows["ours"] == [1, 1]
    none = power.delays("mean", 0.0, runs=1, seed=1, limits=NO_LIMITS)
    assert none.windows["ours"] == [power.MOST_WINDOWS + 1]


def test_the_others_are_as_their_makers_ship_them():
    random = np.random.default_rng(1)
    reference, serving = sample(2_000, random), sample(2_000, random)
    shifted = planted(serving, SHIFTS["mean"], 0.5, random)
    assert evidently(shifted, reference, NUMBER).statistic == pytest.approx(0.5, abs=0.1)
    assert plain_psi(shifted, reference, NUMBER).drifted
    assert not plain_psi(serving, reference, NUMBER).drifted


@pytest.mark.parametrize("change", ["an input that matters", "a turned relation"])
def test_kinds_are_counted(change: str):
    named = name_kinds(change, windows=1, seed=2)
    assert sum(named.kinds.values()) == named.windows == 1


def test_what_is_timed_looks_at_every_column():
    assert ours({"rows": 2_000})["findings"] >= 20
    assert plain({"rows": 2_000})["values"] == 100


def test_the_stated_side_of_an_estimates_error_is_counted_against_its_truth(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(signs, "CONCEPT", ("a turned relation",))
    assert signs.promised_wrongly(windows=1, seed=2) == {"a turned relation": 0}
    monkeypatch.setattr(signs, "kind_and_promise", lambda _: ("concept", "too little"))
    assert signs.promised_wrongly(windows=1, seed=2) == {"a turned relation": 1}
