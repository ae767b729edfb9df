"""The loop in one piece: of a small use case in a copy of the project Airflow's scheduler watches a
month in which inputs and relation have changed, and all that follows it does by itself: two alarms,
a notice of each, one training, its gates, one release. The month after closes the alarms.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.copies import in_copy, only_use_case, project_copy
from tests.integration.pump_faults.months import FEBRUARY, MARCH, NAME
from tests.integration.pump_faults.rows import rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
SOURCE = Path(__file__).with_name(NAME)
KINDS = {"drift", "performance"}
WATCHED, QUIET = f"monitoring/{FEBRUARY.label}", f"monitoring/{MARCH.label}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose only use case is the small one, with its rows."""
    root = project_copy(tmp_path_factory.mktemp("whole") / "copy", "proofs", "tests")
    only_use_case(root, NAME, SOURCE)
    (root / "data").mkdir()
    rows().write_parquet(root / "data" / f"{NAME}.parquet")
    return root


@pytest.fixture(scope="module")
def left(copy: Path) -> dict[str, Any]:
    """What was there at each point of the loop."""
    done = in_copy(copy, [".venv/bin/python", "-m", "tests.integration.pump_loop"])
    assert done.returncode == 0, done.stdout[-5000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def versions(seen: dict[str, Any], event: str) -> list[int]:
    """The versions of which the ledger has an event, in its order."""
    return [row["version"] for row in seen["releases"] if row["event"] == event]


def test_before_it_version_1_serves_and_nothing_is_wrong(left: dict[str, Any]) -> None:
    before = left["before"]
    assert before["answer"]["model_version"] == 1
    assert versions(before, "promoted") == [1]
    assert (before["alarms"], before["told"]) == ({}, [])
    assert left["started_before"] == {"training": [], "deployment": []}


def test_the_changed_month_opens_an_alarm_of_each_kind(left: dict[str, Any]) -> None:
    alarms = left["alarmed"]["alarms"]
    assert set(alarms) == KINDS
    for kind, alarm in alarms.items():
        assert (alarm["state"], alarm["run"], alarm["times"]) == ("open", WATCHED, 1)
        assert alarm["window"]["start"].startswith("2023-02-01")
        refused = [one for one in alarm["evidence"]["findings"] if not one["passed"]]
        assert {one["subject"] for one in refused} == {kind}
    moved = {one["part"] for one in alarms["drift"]["evidence"]["findings"] if not one["passed"]}
    assert moved == {"", "flow", "pressure"}
    assert alarms["performance"]["reason"].startswith("AUC is 0.1")
    decided = left["february"]["results"]["decide_alarm"]
    assert (decided["verdict"], decided["alarm"]) == ("drift+performance", True)


def test_the_webhook_got_one_notice_of_each_alarm(left: dict[str, Any]) -> None:
    alarms = left["alarmed"]["alarms"]
    titles = [
        f"[{alarms[kind]['severity']}] {NAME}: {title}"
        for kind, title in (
            ("drift", "The inputs are not what the model was trained on"),
            ("performance", "The model performs worse than when it was released"),
        )
    ]
    assert sorted(notice["title"] for notice in left["alarmed"]["told"]) == sorted(titles)
    assert left["released"]["told"] == left["alarmed"]["told"]


def test_its_asset_event_started_the_training_with_window_and_reason(left: dict[str, Any]) -> None:
    training = left["training"]
    assert (training["run_type"], training["triggered_by"]) == ("asset_triggered", "asset")
    assert training["triggering_user_name"] is None
    (event,) = training["events"]
    assert (event["source_dag_id"], event["source_run_id"]) == (
        f"{NAME}__monitoring",
        FEBRUARY.label,
    )
    decided = left["february"]["results"]["decide_alarm"]
    assert event["extra"]["interval"] == FEBRUARY.as_json()
    assert event["extra"]["reasons"] == decided["reasons"]
    (cause,) = training["results"]["open_run"]["causes"]
    assert (cause["kind"], cause["interval"]) == ("alarm", FEBRUARY.as_json())
    assert all(reason.rstrip(".") in cause["reason"] for reason in decided["reasons"])
    numbers = {alarm["number"] for alarm in left["alarmed"]["alarms"].values()}
    assert set(cause["evidence"]["alarms"]) == numbers
    assert f"Why it ran: Alarm ({NAME}__monitoring): " in training["note"]


def test_its_gates_let_the_better_version_through(left: dict[str, Any]) -> None:
    results = left["training"]["results"]
    assert (results["check_gates"]["accepted"], results["check_gates"]["reasons"]) == (True, [])
    assert results["register_model"]["version"] == 2


def test_version_2_is_released_by_that_training_and_answers(left: dict[str, Any]) -> None:
    released, deployment = left["released"], left["deployment"]
    assert deployment["run_type"] == "asset_triggered"
    (event,) = deployment["events"]
    assert event["source_run_id"] == left["training"]["dag_run_id"]
    assert versions(released, "promoted") == [1, 2]
    newest = [row for row in released["releases"] if row["version"] == 2]
    assert newest[0]["event"] == "registered"
    assert newest[0]["run"] == f"training/{left['training']['dag_run_id']}"
    assert newest[-1]["run"] == f"deployment/{deployment['dag_run_id']}"
    assert {row["digest"] for row in newest} == {
        left["training"]["results"]["register_model"]["digest"]
    }
    assert released["answer"]["model_version"] == 2
    assert {alarm["state"] for alarm in released["alarms"].values()} == {"open"}


def test_the_month_after_closes_the_alarms_and_says_so(left: dict[str, Any]) -> None:
    after = left["after"]
    assert left["march"]["results"]["decide_alarm"]["verdict"] == "none"
    for kind in KINDS:
        alarm = after["alarms"][kind]
        assert (alarm["state"], alarm["changed_by"]) == ("closed", QUIET)
        assert alarm["changed_because"]
        raised, noted, closed = after["history"][kind]
        assert raised[:2] == ["raised", WATCHED]
        assert noted == [
            "noted",
            f"deployment/{left['deployment']['dag_run_id']}",
            "Version 2 is in service.",
        ]
        assert closed == ["closed", QUIET, alarm["changed_because"]]
    closing = after["told"][len(left["alarmed"]["told"]) :]
    assert {notice["message"].splitlines()[0] for notice in closing} == {
        f"Closed by {QUIET}: {alarm['changed_because']}" for alarm in after["alarms"].values()
    }
    assert sorted(notice["title"] for notice in closing) == sorted(
        notice["title"].replace("[warning]", "[closed]").replace("[critical]", "[closed]")
        for notice in left["alarmed"]["told"]
    )


def test_nothing_was_started_twice(left: dict[str, Any]) -> None:
    assert left["started"] == {
        process: [left[process]["dag_run_id"]] for process in ("training", "deployment")
    }
    causes = [cause for cause in left["after"]["causes"] if cause["kind"] == "alarm"]
    assert [(cause["status"], cause["consumed_by"]) for cause in causes] == [
        ("consumed", left["training"]["dag_run_id"])
    ]
    assert left["after"]["answer"]["model_version"] == 2
