"""The simulation of `make bench-release`, a few runs of it: it is the shipped analysis that is
timed, and what it aims at is seen to be missed where the analysis is broken.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cli.application import invoke
from include.errors import FlightdeckError
from include.release.analysis import base
from include.stats import sequential
from proofs.bench.figure import Figure
from proofs.bench.release import detection
from proofs.bench.release.decisions import CONTESTS, decide_many
from proofs.bench.release.detection import FAULTS, requests_until_caught
from proofs.bench.release.rollouts import SCENARIOS, run_many, shares


@pytest.mark.parametrize("fault", [FAULTS[1], FAULTS[2], FAULTS[5]], ids=lambda fault: fault.name)
def test_faults_are_caught_within_the_table_and_a_fifth(fault):
    share = 0.1
    requests = requests_until_caught(fault, share, runs=600, seed=1, checked=20)
    # A fifth more for the noise of 600 runs is what the whole bench does without.
    assert np.median(requests) <= 1.1 * fault.aim(share)


def test_the_simulation_must_agree_with_the_question_that_is_shipped(monkeypatch):
    monkeypatch.setattr(detection, "RELEVANT_RATIO", 0.0)
    monkeypatch.setattr(base, "RELEVANT_RATIO", 1e9)
    with pytest.raises(FlightdeckError, match="disagree about run"):
        requests_until_caught(FAULTS[1], 0.1, runs=10, seed=1, checked=5)


def test_whole_rollouts_end_as_their_challenger_deserves():
    ends = {
        name: shares(run_many(SCENARIOS[name], 8, seed=3))
        for name in ("identical", "5 % errors", "flipped scores", "ten requests only")
    }
    assert ends["identical"]["refused"] == 0.0
    assert ends["identical"]["promoted"] >= 0.75
    assert ends["5 % errors"]["refused"] == 1.0
    assert ends["flipped scores"]["refused"] == 1.0
    assert ends["ten requests only"] == {"promoted": 0.0, "held": 1.0, "refused": 0.0}


def test_the_same_seed_gives_the_same_ends():
    assert run_many(SCENARIOS["5 % errors"], 4, seed=1) == run_many(
        SCENARIOS["5 % errors"], 4, seed=1
    )


def test_a_broken_formula_shows_as_false_aborts(monkeypatch):
    """A mixture whose weights add up to more than 1 promises what it does not keep."""
    scenario = SCENARIOS["identical"]
    monkeypatch.setattr(sequential, "WEIGHTS", (40.0, 40.0, 40.0))
    assert shares(run_many(scenario, 8, seed=3))["refused"] > 0.2


def test_contests_are_decided_by_their_rewards():
    better = shares([one.ended for one in decide_many(CONTESTS["A/B, a tenth better"], 3)])
    assert better["promoted"] == 1.0
    worse = decide_many(replace(CONTESTS["bandit, a tenth worse"], reward=0.1), 3)
    assert shares([one.ended for one in worse])["refused"] == 1.0
    assert max(one.traffic for one in worse) < 0.2


def test_a_figure_says_whether_its_aim_is_reached():
    assert Figure("a", 0.01, 0.02, "").as_json()["reached"] is True
    assert Figure("a", 0.03, 0.02, "").as_json()["reached"] is False
    assert Figure("a", 0.03, None, "").as_json()["reached"] is None


def test_the_command_prints_and_writes_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    invoke(["bench", "release", "--quick", "--only", "detection"])
    rows = json.loads((tmp_path / "bench" / "release-quick.json").read_text())
    assert {tuple(row) for row in rows} == {("name", "value", "aim", "reached", "detail")}
    assert "errors 1 -> 2 % at 50 %: requests until caught" in {row["name"] for row in rows}
    assert "table" not in capsys.readouterr().err
