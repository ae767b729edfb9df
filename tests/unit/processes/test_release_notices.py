"""What people should know of a release is an alarm, and closed when they need not act any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.alarms.store import AlarmStore
from include.processes.release_notices import notify_release, settle_decision, settle_promotion
from include.release.ledger import Entry, Ledger
from include.settings import Settings
from tests.unit.alarms.samples import DECAYED, PARCELS, decayed, settings_in

RUN = {"process": "deployment", "run_id": "manual__7"}


@pytest.fixture
def settings(tmp_path) -> Settings:
    return settings_in(tmp_path)


def row(settings: Settings, event: str, version: int = 3, **evidence: object) -> Entry:
    content = {"run": RUN, **evidence}
    return Ledger(settings).append(
        event, "parcels", version, "d" * 64, "ada", "errors rose", content
    )


def states(settings: Settings) -> dict[str, str]:
    alarms = AlarmStore(settings).alarms()
    return {f"{alarm.key.kind} {alarm.key.subject}".strip(): alarm.state for alarm in alarms}


def test_a_roll_back_is_an_alarm_with_the_verdict_as_evidence_once(settings):
    entry = row(settings, "rolled_back", verdict=DECAYED.model_dump(mode="json"))
    for _ in range(2):
        notify_release(settings, PARCELS, "rolled_back", entry)
    (alarm,) = AlarmStore(settings).alarms()
    assert (alarm.key.kind, alarm.key.subject, alarm.times) == ("rollback", "version 3", 1)
    assert alarm.evidence == DECAYED
    assert alarm.reason == "Version 3 was rolled back (row 1 of the ledger): errors rose"
    assert alarm.run == "deployment/manual__7"
    notify_release(settings, PARCELS, "rolled_back", replace(entry, number=2))
    assert AlarmStore(settings).alarm(1).times == 2


@pytest.mark.parametrize(
    ("event", "kind", "answer"),
    [
        ("approval_requested", "approval", "approved"),
        ("approval_requested", "approval", "rejected"),
        ("held", "held", "override"),
    ],
)
def test_a_request_is_open_until_it_is_answered(settings, event, kind, answer):
    notify_release(settings, PARCELS, event, row(settings, "requested"))
    assert states(settings) == {f"{kind} version 3": "open"}
    settle_decision(settings, PARCELS, event, row(settings, answer))
    assert states(settings) == {f"{kind} version 3": "closed"}
    assert AlarmStore(settings).alarm(1).changed_because == (
        f"{answer} (row 2 of the ledger): errors rose"
    )


def test_a_promotion_closes_roll_backs_and_is_noted_where_the_next_window_decides(settings):
    store = AlarmStore(settings)
    store.signal(decayed(0))
    notify_release(settings, PARCELS, "rolled_back", row(settings, "rolled_back"))
    promoted = row(settings, "promoted", version=4)
    for _ in range(2):
        settle_promotion(settings, PARCELS, promoted)
    assert states(settings) == {"performance": "open", "rollback version 3": "closed"}
    assert [item.reason for item in store.history(1)] == [
        "AUC is 0.6 on day 0.",
        "Version 4 is in service.",
    ]
