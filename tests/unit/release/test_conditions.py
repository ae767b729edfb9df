"""Traffic moves only where the run's own rows of the ledger say that it may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.errors import ReleaseError
from include.release.approval import Claim
from include.release.ledger import GENESIS, Entry
from include.release.rollout.conditions import require_conditions
from include.release.rollout.stages import stages_of
from include.spec import Canary, Release

DIGEST = "a" * 64
RELEASE = Release(strategy=Canary(steps=(0.1, 0.5)))
FIRST, SECOND = stages_of(RELEASE)
CLAIM = Claim("flight_delays", 7, DIGEST, "deployment/run_1", ())


def row(number: int, about: str, outcome: str = "passed", **changes: Any) -> Entry:
    run = {"process": "deployment", "run_id": changes.pop("run_id", "run_1")}
    evidence = {"run": run, "about": about, "outcome": outcome, "final": True}
    fields: dict[str, Any] = {"event": "verdict", "version": 7, "digest": DIGEST, **changes}
    return Entry(
        number=number,
        recorded_at=datetime(2026, 11, 29, tzinfo=UTC),
        use_case="flight_delays",
        actor="engineer",
        reason="so it was",
        evidence=evidence,
        previous=GENESIS,
        **fields,
    )


PACKAGE = row(1, "check_package")
PASSED = [PACKAGE, row(2, FIRST.name), row(3, SECOND.name)]


def test_a_run_whose_package_and_stages_have_passed_may_promote() -> None:
    require_conditions(RELEASE, CLAIM, PASSED)
    require_conditions(RELEASE, CLAIM, [PACKAGE], before=FIRST)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no verdict of check_package in run deployment/run_1"),
        (PASSED[:2], f"no verdict of {SECOND.name}"),
        ([*PASSED, row(4, FIRST.name, "failed")], f"{FIRST.name} was failed"),
        ([*PASSED, row(4, FIRST.name, "inconclusive")], f"{FIRST.name} was inconclusive"),
        ([row(1, "check_package", digest="b" * 64)], "judged version 7 with digest bbbb"),
        ([row(1, "check_package", run_id="run_0")], "no verdict of check_package"),
        ([*PASSED, row(4, "", event="rolled_back")], "was rolled back"),
    ],
)
def test_what_was_not_proved_by_this_run_refuses(rows: list[Entry], words: str) -> None:
    with pytest.raises(ReleaseError, match=words):
        require_conditions(RELEASE, CLAIM, rows)


def test_an_override_stands_for_the_verdict_that_it_overrides() -> None:
    rows = [PACKAGE, row(2, FIRST.name, "inconclusive"), row(3, FIRST.name, event="override")]
    require_conditions(RELEASE, CLAIM, rows, before=SECOND)
