"""Releases through a real Airflow on live traffic: every stage of a rollout is a task that waits
without a worker slot, and what it decides stands in the ledger, the run's note and its log.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cli.platform.environment import passwords, process_environment, settings_environment
from cli.runs.verdict import ACCEPTED, REFUSED
from include.registry.client import connect
from include.release.approval import TAKE_BACK
from include.release.plan import read_plan
from include.settings import PROJECT_ROOT
from proofs.faults.office import PERSON_SECONDS
from proofs.harness.endpoint import USE_CASE
from proofs.harness.outcomes import labels, rewards
from proofs.harness.rollouts import (
    BETTER,
    DEPLOY,
    GOOD,
    ROLL_BACK,
    TURNED,
    Rollouts,
    open_rollouts,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DIRECT: dict[str, Any] = {"strategy": {"kind": "direct"}}
STAGES = ("shift_to_5_percent", "shift_to_25_percent", "shift_to_50_percent")
FAST = {"kind": "canary", "bake_seconds": 5, "minimum_rows": 60, "patience_seconds": 120}
OVERRIDERS = {"overriders": ["reviewer"]}
CANARY: dict[str, Any] = {"strategy": {**FAST, "steps": [0.05, 0.25, 0.5]}, **OVERRIDERS}
HALF = "shift_to_50_percent"
QUIET: dict[str, Any] = {
    "strategy": {**FAST, "steps": [0.5], "minimum_rows": 100_000, "patience_seconds": 8},
    **OVERRIDERS,
}
BLUE_GREEN: dict[str, Any] = {
    "strategy": {"kind": "blue_green", "switch_back_minutes": 0.5, "minimum_rows": 60}
}
WORTH: dict[str, Any] = {
    "strategy": {**FAST, "steps": [0.5], "bake_seconds": 12, "minimum_rows": 300}
}
AB_TEST: dict[str, Any] = {
    "strategy": {
        "kind": "ab",
        "metric": "loss",
        "minimum_effect": 0.05,
        "minimum_rows": 200,
        "patience_hours": 0.03,
    },
    **OVERRIDERS,
}
BANDIT: dict[str, Any] = {
    "strategy": {"kind": "bandit", "floor": 0.1, "update_seconds": 5, "minimum_rows": 300}
}
SHADOW: dict[str, Any] = {
    "strategy": {"kind": "shadow", "minutes": 0.1, "minimum_rows": 60, "patience_minutes": 3}
}


@pytest.fixture(scope="module")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rollouts]:
    with open_rollouts(tmp_path_factory.mktemp("rollouts"), DIRECT) as rollouts:
        yield rollouts


def deploying(rollouts: Rollouts, *options: str) -> subprocess.Popen[str]:
    """The command that deploys, as a user starts it."""
    environment = process_environment(settings_environment(rollouts.settings))
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "deploy", USE_CASE, *options],
        cwd=PROJECT_ROOT,
        env={**environment, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(command: subprocess.Popen[str], exit_code: int) -> str:
    """What it has printed, folded back to one line; it fits 80 columns."""
    output, _ = command.communicate()
    assert command.returncode == exit_code, output
    assert [one for one in output.splitlines() if len(one) > 80 and len(one.split()) > 2] == []
    return " ".join(output.split())


def shares(rollouts: Rollouts) -> dict[int, float]:
    plan = read_plan(rollouts.settings, USE_CASE)
    assert plan is not None
    return {arm.version: arm.share for arm in plan.arms}


def test_a_direct_release_has_no_stage_and_serves(rollouts: Rollouts) -> None:
    assert rollouts.stages() == ()
    done = finished(deploying(rollouts, "--version", str(GOOD), "--run-id", "direct"), ACCEPTED)
    assert f"{USE_CASE} deployment: accepted." in done
    assert f"in service version {GOOD}, row {rollouts.rows('direct')[-1].number} of the led" in done
    assert rollouts.end("direct") == "success"
    assert rollouts.events("direct") == ["verdict", "traffic", "promoted"]
    assert shares(rollouts) == {GOOD: 1.0}


def test_a_bad_challenger_is_rolled_back_by_itself_and_says_why_with_figures(
    rollouts: Rollouts,
) -> None:
    rollouts.use(CANARY, STAGES)
    with rollouts.callers().flowing() as traffic:
        traffic.wait_for(300)
        rollouts.deploy(TURNED, "bad")
        # Without a version it follows what is under way.
        printed = finished(deploying(rollouts), REFUSED)
        assert rollouts.end("bad") == "failed"
        traffic.wait_for(50)
    assert dict(traffic.errors) == {}
    assert traffic.versions == [GOOD, TURNED]
    assert traffic.answers[-1]["model_version"] == GOOD
    assert rollouts.events("bad") == ["verdict", "traffic", "verdict", "rolled_back"]
    _, traffic_row, verdict, back = rollouts.rows("bad")
    assert {row.digest for row in rollouts.rows("bad")} == {traffic_row.digest}
    assert (traffic_row.evidence["share"], verdict.evidence["outcome"]) == (0.05, "failed")
    (refused,) = [one for one in back.evidence["verdict"]["findings"] if not one["passed"]]
    assert (refused["rule"], refused["metric"]) == ("scores", "score_psi")
    assert refused["observed"] > refused["limit"]
    assert shares(rollouts) == {GOOD: 1.0}
    note = rollouts.note("bad")
    assert note.startswith(f"**Rolled back** in `{STAGES[0]}`: version {TURNED} does not serve.")
    figures = f"{refused['observed']:.5g}"
    assert f"{USE_CASE} deployment: refused by {STAGES[0]}, for" in printed
    assert f"observed {figures}" in printed
    assert f"{STAGES[0]} waits for answers to compare" in printed
    assert "runs/bad" in printed
    assert f"scores (score_psi, version {TURNED} against {GOOD}): observed {figures}" in note
    log = rollouts.log("bad", STAGES[0])
    assert f"{STAGES[0]} is rolled back." in log
    assert "question" in log
    assert figures in log
    link = rollouts.links("bad", STAGES[0])["MLflow version"]
    assert link is not None
    assert link.endswith(f"#/models/{USE_CASE}/versions/{TURNED}")
    select = rollouts.result("bad", "select_version")
    assert "although its gates refused it (flightdeck demo: deliberately bad" in select["reason"]


def test_a_version_that_is_worth_less_to_the_application_gets_no_full_release(
    rollouts: Rollouts,
) -> None:
    rollouts.use(WORTH, (HALF,))
    told = rewards({GOOD: 0.8, BETTER: 0.2})
    with rollouts.callers().flowing() as traffic, rollouts.outcomes(traffic, told).flowing():
        rollouts.deploy(BETTER, "worthless")
        assert rollouts.end("worthless") == "failed"
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    back = rollouts.rows("worthless")[-1]
    assert back.event == "rolled_back"
    (refused,) = [one for one in back.evidence["verdict"]["findings"] if not one["passed"]]
    assert (refused["rule"], refused["part"]) == ("outcomes", "reward")
    assert refused["observed"] == pytest.approx(-0.6, abs=0.15)
    assert shares(rollouts) == {GOOD: 1.0}


def test_a_good_challenger_is_promoted_stage_by_stage_and_no_request_fails(
    rollouts: Rollouts,
) -> None:
    rollouts.use(CANARY, STAGES)
    with rollouts.callers().flowing() as traffic:
        rollouts.deploy(BETTER, "good")
        rollouts.wait("good", STAGES[0], "deferred")
        pool = rollouts.engineer.get("/api/v2/pools/default_pool")
        assert (pool["running_slots"], pool["deferred_slots"]) == (0, 1)
        assert rollouts.end("good") == "success"
        traffic.wait_for(50)
    assert dict(traffic.errors) == {}
    rows = rollouts.rows("good")
    moved = [row.evidence["share"] for row in rows if row.event == "traffic"][: len(STAGES)]
    assert moved == [0.05, 0.25, 0.5]
    judged = [row.evidence["about"] for row in rows if row.event == "verdict"]
    assert judged == ["check_package", *STAGES]
    assert {row.digest for row in rows} == {rollouts.world.digests[BETTER]}
    assert rows[-1].event == "promoted"
    assert traffic.answers[-1]["model_version"] == BETTER
    assert f"Version {BETTER} is in service. `{STAGES[0]}` passed (" in rollouts.note("good")


def test_too_few_requests_wait_and_then_hold_for_a_person(rollouts: Rollouts) -> None:
    rollouts.use(QUIET, (HALF,))
    with rollouts.callers().flowing() as traffic:
        rollouts.deploy(GOOD, "quiet")
        rollouts.wait("quiet", HALF, "awaiting_input")
        verdict, requested = rollouts.rows("quiet")[-2:]
        assert (verdict.evidence["outcome"], requested.event) == ("inconclusive", "requested")
        assert "a person must decide" in verdict.reason
        assert shares(rollouts) == {BETTER: 0.5, GOOD: 0.5}
        time.sleep(PERSON_SECONDS)
        answer = rollouts.reviewer.answer(DEPLOY, "quiet", HALF, TAKE_BACK, "too quiet to know")
        assert answer == httpx.codes.OK
        assert rollouts.end("quiet") == "failed"
    assert dict(traffic.errors) == {}
    assert rollouts.events("quiet")[-1] == "rolled_back"
    assert "too quiet to know" in rollouts.rows("quiet")[-1].reason
    assert shares(rollouts) == {BETTER: 1.0}


def test_blue_green_switches_back_a_version_that_answers_otherwise(rollouts: Rollouts) -> None:
    rollouts.use(BLUE_GREEN, ("switch_traffic",))
    with rollouts.callers().flowing() as traffic:
        rollouts.deploy(TURNED, "switched")
        assert rollouts.end("switched") == "failed"
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    assert traffic.versions == [BETTER, TURNED]
    assert rollouts.rows("switched")[1].evidence["share"] == 1.0
    assert rollouts.events("switched")[-1] == "rolled_back"
    assert shares(rollouts) == {BETTER: 1.0}


def test_a_shadow_answers_nobody_and_is_promoted_when_it_agrees(rollouts: Rollouts) -> None:
    rollouts.use(SHADOW, ("mirror_traffic",))
    with rollouts.callers().flowing() as traffic:
        rollouts.deploy(GOOD, "mirrored")
        rollouts.wait("mirrored", "mirror_traffic", "deferred")
        assert traffic.versions == [BETTER]
        assert rollouts.end("mirrored") == "success"
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    verdict = next(row for row in rollouts.rows("mirrored") if row.event == "verdict")
    assert verdict.version == GOOD
    judged = [row for row in rollouts.rows("mirrored") if row.evidence["about"] == "mirror_traffic"]
    rules = {finding["rule"] for finding in judged[-1].evidence["verdict"]["findings"]}
    assert "disagreement" in rules
    assert shares(rollouts) == {GOOD: 1.0}


def override(rollouts: Rollouts, version: int, password: str) -> subprocess.CompletedProcess[str]:
    environment = process_environment(settings_environment(rollouts.settings))
    named = ["--user", "reviewer", "--reason", "the gates know no snow"]
    return subprocess.run(
        [sys.executable, "-m", "cli", "override", USE_CASE, str(version), *named],
        cwd=PROJECT_ROOT,
        env={**environment, "FLIGHTDECK_PASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_ab_test_of_a_version_that_its_gates_refused_ends_by_its_metric(
    rollouts: Rollouts,
) -> None:
    rollouts.use(AB_TEST, ("compare_versions",))
    connect(rollouts.settings).set_model_version_tag(USE_CASE, str(BETTER), "decision", "refused")
    stranger = override(rollouts, BETTER, "guessed")
    assert (stranger.returncode, "401" in stranger.stderr) == (1, True), stranger.stderr
    done = override(rollouts, BETTER, passwords(rollouts.settings)["reviewer"])
    assert done.returncode == 0, done.stdout + done.stderr
    with (
        rollouts.callers().flowing() as traffic,
        rollouts.outcomes(traffic, labels(BETTER)).flowing(),
    ):
        rollouts.deploy(BETTER, "compared")
        assert rollouts.end("compared") == "success"
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    judged = [row for row in rollouts.rows("compared") if row.event == "verdict"][-1]
    (metric,) = [one for one in judged.evidence["verdict"]["findings"] if one["rule"] == "metric"]
    assert (metric["part"], metric["passed"], metric["judged"]) == ("loss", True, True)
    assert metric["observed"] > metric["limit"] == 0.05
    reason = rollouts.result("compared", "select_version")["reason"]
    assert "although its gates refused it (reviewer: the gates know no snow)" in reason
    assert shares(rollouts) == {BETTER: 1.0}


def test_a_bandit_moves_traffic_to_the_better_version_keeps_its_floor_and_ends_by_proof(
    rollouts: Rollouts,
) -> None:
    rollouts.use(BANDIT, ("explore_versions",))
    told = rewards({GOOD: 0.8, BETTER: 0.2})
    with rollouts.callers().flowing() as traffic, rollouts.outcomes(traffic, told).flowing():
        rollouts.deploy(GOOD, "explored")
        assert rollouts.end("explored") == "success"
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    rows = rollouts.rows("explored")
    moved = [row.evidence["share"] for row in rows if row.event == "traffic"]
    tried = [share for share in moved if share < 1.0]
    assert (tried[0], max(tried), min(tried)) == (0.1, 0.9, 0.1)
    judged = [row for row in rows if row.event == "verdict"][-1]
    assert judged.evidence["verdict"]["better_probability"] >= 0.99
    (metric,) = [one for one in judged.evidence["verdict"]["findings"] if one["rule"] == "metric"]
    assert (metric["part"], metric["passed"], metric["judged"]) == ("reward", True, True)
    assert rows[-1].event == "promoted"
    assert shares(rollouts) == {GOOD: 1.0}


def test_a_rollback_needs_no_version_in_mlflow_and_bears_twice_the_load(
    rollouts: Rollouts,
) -> None:
    connect(rollouts.settings).delete_model_version(USE_CASE, str(BETTER))
    with rollouts.callers().flowing() as traffic, rollouts.callers().flowing() as more:
        conf = {"reason": "the old one was better"}
        rollouts.engineer.trigger(ROLL_BACK, "back", conf=conf)
        assert rollouts.end("back", ROLL_BACK) == "success"
        traffic.wait_for(20)
    assert [dict(one.errors) for one in (traffic, more)] == [{}, {}]
    assert shares(rollouts) == {BETTER: 1.0}
    assert traffic.answers[-1]["model_version"] == BETTER
    assert f"Version {BETTER} is in service again." in rollouts.note("back", ROLL_BACK)


def test_the_command_rolls_back_while_mlflow_is_away(rollouts: Rollouts) -> None:
    away = {"FLIGHTDECK_MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    environment = process_environment({**settings_environment(rollouts.settings), **away})
    command = [sys.executable, "-m", "cli", "rollback", USE_CASE, "--to", str(GOOD)]
    with rollouts.callers().flowing() as traffic:
        done = subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        traffic.wait_for(20)
    assert dict(traffic.errors) == {}
    assert f"{USE_CASE} version {GOOD} serves" in done.stdout
    assert "alias champion has not moved: MLflow does not answer" in done.stdout
    assert traffic.answers[-1]["model_version"] == GOOD
