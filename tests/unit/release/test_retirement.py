"""A retired use case answers nobody until a person brings it back, and the ledger says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.application import invoke
from include.errors import ReleaseError
from include.processes.deployment import select_version
from include.release.in_service import released_version
from include.release.plan import read_plan
from include.release.retirement import is_retired, retire, serving_version
from include.release.rollback import roll_back
from include.steps import RunInfo, StepContext
from proofs.harness.world import INTERVAL
from tests.unit.release.releases import NAME, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    releases = Releases(tmp_path)
    releases.promote(1)
    releases.promote(2)
    return releases


def arms(releases: Releases) -> list[int]:
    plan = read_plan(releases.settings, NAME)
    assert plan is not None
    return [arm.version for arm in plan.arms]


def test_nothing_is_changed_without_apply(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke(["retire-use-case", NAME, "--reason", "moved"], releases.settings)
    assert "version 2 serves now" in capsys.readouterr().out
    assert arms(releases) == [2]


def test_no_version_answers_after_it_and_a_roll_back_takes_it_back(
    releases: Releases, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke(["retire-use-case", NAME, "--reason", "moved", "--apply"], releases.settings)
    assert f"flightdeck rollback {NAME} --to 2" in capsys.readouterr().out
    assert arms(releases) == []
    newest = releases.ledger.newest(NAME)
    assert newest is not None
    assert (newest.event, newest.version, newest.reason) == ("rolled_back", 2, "moved")
    assert is_retired(releases.settings, NAME)
    assert released_version(releases.settings, releases.use_case) is None
    roll_back(
        releases.settings, releases.use_case, to=2, actor="engineer", reason="back", evidence={}
    )
    assert arms(releases) == [2]
    assert not is_retired(releases.settings, NAME)
    assert serving_version(releases.settings, NAME) == 2


def test_a_challenger_is_not_released_by_itself(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke(["retire-use-case", NAME, "--reason", "moved", "--apply"], releases.settings)
    run = RunInfo(process="deployment", run_id="asset_triggered")
    context = StepContext(releases.use_case, releases.settings, INTERVAL, run)
    monkeypatch.setattr("include.processes.deployment.reconcile", lambda *_, **__: [])
    with pytest.raises(ReleaseError, match=f"{NAME} was retired.*rollback {NAME} --to VERSION"):
        select_version(context)


def test_it_waits_for_a_release_that_is_under_way(releases: Releases) -> None:
    champion = releases.ledger.current(NAME)
    assert champion is not None
    releases.try_beside(champion, 3, 0.2)
    with pytest.raises(ReleaseError, match=r"A release of .* is under way: version 3"):
        retire(releases.settings, releases.use_case, actor="x", reason="y", evidence={})
    with pytest.raises(ReleaseError, match="under way"):
        invoke(["retire-use-case", NAME, "--reason", "moved"], releases.settings)
    assert sorted(arms(releases)) == [2, 3]
