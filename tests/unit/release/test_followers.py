"""Followers: a release counts on a plan only when every process that lives has it in force."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from include.errors import LateStep, ReleaseError
from include.release import followers
from include.release.endpoint import wait_until_serving
from include.release.followers import (
    Follower,
    Process,
    followers_folder,
    live_followers,
    report,
    this_process,
    wait_until_followed,
    withdraw_report,
)
from include.release.plan import one_arm, plan_path, write_plan
from include.settings import Settings, load_settings

NAME = "flight_delays"
PLAN = one_arm(NAME, 1, "a" * 64, sequence=5)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings({"FLIGHTDECK_HOME": str(tmp_path / "home")})


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this machine."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def follower(process: Process | None = None, **fields: object) -> Follower:
    usual = {"use_case": NAME, "port": 3000, "sequence": 5, "plan": PLAN.fingerprint}
    return Follower.model_validate(
        {**usual, "process": process or this_process(), "heartbeat": time.time(), **fields}
    )


def of(pid: int) -> Process:
    started = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return this_process().model_copy(update={"pid": pid, "started": started[followers.START_FIELD]})


def test_all_that_live_must_follow_exactly_this_plan(
    home: Settings, other: subprocess.Popen[bytes]
) -> None:
    report(home, follower())
    assert [one.process.name for one in wait_until_followed(home, PLAN, seconds=0)] == [
        this_process().name
    ]
    report(home, follower(of(other.pid), port=3002, sequence=4, plan="other"))
    with pytest.raises(
        ReleaseError, match=rf"1 of 2 .*-{other.pid} \(port 3002\): it follows plan 4"
    ):
        wait_until_followed(home, PLAN, seconds=0.1)
    report(
        home, follower(of(other.pid), error="DigestMismatch: x", refused=PLAN.fingerprint, plan="")
    )
    with pytest.raises(ReleaseError, match="DigestMismatch: x"):
        wait_until_followed(home, PLAN, seconds=0)
    report(home, follower(of(other.pid)))
    assert len(wait_until_followed(home, PLAN, seconds=0)) == 2


def test_whoever_waits_for_a_plan_that_another_has_replaced_waits_no_longer(home: Settings) -> None:
    plan_path(home, NAME).parent.mkdir(parents=True)
    write_plan(home, PLAN)
    report(home, follower(sequence=4, plan="other"))
    later = one_arm(NAME, 2, "b" * 64, sequence=6)
    with ThreadPoolExecutor(2) as pool:
        waits: list[Future[Any]] = [
            pool.submit(wait_until_followed, home, PLAN, seconds=60.0),
            pool.submit(wait_until_serving, home, NAME, 1, "a" * 64, seconds=60.0, plan=PLAN),
        ]
        time.sleep(0.3)
        assert not any(wait.done() for wait in waits)
        write_plan(home, later)
        for wait in waits:
            with pytest.raises(LateStep, match="row 6 of the ledger has changed the traffic since"):
                wait.result(timeout=20.0)
    report(home, follower(sequence=6, plan=later.fingerprint))
    assert len(wait_until_followed(home, later, seconds=0)) == 1


def test_a_process_that_has_ended_is_cleared_at_once(
    home: Settings, other: subprocess.Popen[bytes]
) -> None:
    report(home, follower(of(other.pid)))
    assert len(live_followers(home, NAME)) == 1
    other.kill()
    deadline = time.monotonic() + 5
    while live_followers(home, NAME) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(followers_folder(home, NAME).iterdir()) == []


def test_a_number_that_another_process_has_now_is_not_taken_for_it(home: Settings) -> None:
    former = this_process().model_copy(update={"started": "1"})
    report(home, follower(former))
    assert live_followers(home, NAME) == []


@pytest.mark.parametrize("field", ["host", "namespace"])
def test_a_process_elsewhere_lives_as_long_as_it_reports(home: Settings, field: str) -> None:
    elsewhere = this_process().model_copy(update={field: "elsewhere", "pid": 1})
    report(home, follower(elsewhere))
    assert len(live_followers(home, NAME)) == 1
    report(home, follower(elsewhere, heartbeat=time.time() - followers.SILENT_SECONDS - 1))
    assert live_followers(home, NAME) == []


def test_without_any_process_nothing_is_followed(home: Settings) -> None:
    with pytest.raises(ReleaseError, match="no process of an endpoint reports itself"):
        wait_until_followed(home, PLAN, seconds=0)
    report(home, follower(sequence=None, plan=""))
    with pytest.raises(ReleaseError, match="it follows no plan yet"):
        wait_until_followed(home, PLAN, seconds=0)
    withdraw_report(home, NAME, this_process())
    assert live_followers(home, NAME) == []


def test_a_damaged_report_is_cleared(home: Settings) -> None:
    report(home, follower())
    (path,) = followers_folder(home, NAME).iterdir()
    path.write_text("{")
    assert live_followers(home, NAME) == []
    assert not path.exists()
