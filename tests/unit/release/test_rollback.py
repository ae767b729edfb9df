"""Back to a version that served before: what the ledger and the signed package say is enough."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.errors import LateStep, LedgerBroken, ReleaseError
from include.release.ledger import Entry
from include.release.model_store import version_folder
from include.release.plan import Plan, read_plan
from include.release.rollback import roll_back
from tests.unit.release.releases import NAME, Releases


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def back(
    releases: Releases, to: int | None = None, run_id: str = "rollback_1"
) -> tuple[Entry, Plan]:
    entry, plan, _ = roll_back(
        releases.settings,
        releases.use_case,
        to=to,
        actor="engineer",
        reason="it is wrong",
        evidence={"run": {"process": "rollback", "run_id": run_id}},
    )
    return entry, plan


def arms(releases: Releases) -> list[tuple[int, float]]:
    plan = read_plan(releases.settings, NAME)
    assert plan is not None
    return [(arm.version, arm.share) for arm in plan.arms]


def test_the_version_before_serves_again_and_both_rows_say_why(releases: Releases) -> None:
    for version in (1, 2):
        releases.promote(version)
    entry, plan = back(releases)
    assert arms(releases) == [(1, 1.0)]
    assert (entry.event, entry.version, plan.sequence) == ("promoted", 1, entry.number)
    refused = releases.ledger.rows(NAME)[-2]
    assert (refused.event, refused.version, refused.reason) == ("rolled_back", 2, "it is wrong")
    assert refused.evidence["back_to"] == 1
    current = releases.ledger.current(NAME)
    assert current is not None
    assert current.version == 1


def test_a_step_that_is_repeated_goes_back_once(releases: Releases) -> None:
    for version in (1, 2, 3):
        releases.promote(version)
    assert back(releases) == back(releases)
    assert arms(releases) == [(2, 1.0)]
    assert len(releases.ledger.rows(NAME)) == 5


def test_going_back_again_never_leads_to_what_was_taken_out(releases: Releases) -> None:
    for version in (1, 2, 3):
        releases.promote(version)
    back(releases, run_id="rollback_1")
    back(releases, run_id="rollback_2")
    assert arms(releases) == [(1, 1.0)]
    with pytest.raises(ReleaseError, match="no version to go back to"):
        back(releases, run_id="rollback_3")


def test_a_version_that_was_taken_out_is_gone_back_to_by_name(releases: Releases) -> None:
    for version in (1, 2):
        releases.promote(version)
    back(releases)
    back(releases, to=2, run_id="rollback_2")
    assert arms(releases) == [(2, 1.0)]


def test_during_a_rollout_the_version_in_service_gets_everything_back(releases: Releases) -> None:
    champion = releases.promote(1)
    releases.try_beside(champion, 2, 0.25)
    assert arms(releases) == [(1, 0.75), (2, 0.25)]
    entry, _ = back(releases)
    assert arms(releases) == [(1, 1.0)]
    assert (entry.event, entry.version) == ("rolled_back", 2)


def test_a_damaged_or_missing_package_is_passed_over_and_named(releases: Releases) -> None:
    for version in (1, 2, 3):
        releases.promote(version)
    (version_folder(releases.settings, NAME, 2) / "model.ubj").write_bytes(b"other trees")
    entry, _ = back(releases)
    assert arms(releases) == [(1, 1.0)]
    assert "digest" in entry.evidence["passed_over"]["2"]
    shutil.rmtree(version_folder(releases.settings, NAME, 2))
    with pytest.raises(ReleaseError, match="Version 2 of flight_delays cannot serve: No whole"):
        back(releases, to=2, run_id="rollback_2")


def test_only_what_has_served_is_gone_back_to(releases: Releases) -> None:
    with pytest.raises(ReleaseError, match="was never released"):
        back(releases)
    for version in (1, 2):
        releases.promote(version)
    with pytest.raises(ReleaseError, match=r"Version 3 .* has never served; valid: \[2, 1\]"):
        back(releases, to=3)


def test_of_a_release_and_a_rollback_at_once_one_wins(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.promote(1)
    releases.promote(2)
    verify = releases.ledger.verify

    def promoted_meanwhile(_: object) -> object:
        releases.promote(3)
        return verify()

    rows = type(releases.ledger).rows

    def stale(ledger: object, name: str) -> list[Entry]:
        read = rows(ledger, name)  # type: ignore[arg-type]
        promoted_meanwhile(ledger)
        return read

    monkeypatch.setattr(type(releases.ledger), "rows", stale)
    with pytest.raises(LateStep, match="version 3 was promoted"):
        back(releases)
    assert arms(releases) == [(3, 1.0)]


def test_a_broken_ledger_moves_nothing(releases: Releases) -> None:
    for version in (1, 2):
        releases.promote(version)
    releases.ledger.head_path.unlink()
    with pytest.raises(LedgerBroken, match="head"):
        back(releases)
    assert arms(releases) == [(2, 1.0)]
