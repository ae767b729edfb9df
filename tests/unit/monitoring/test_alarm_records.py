"""A judged window raises, repeats or closes the alarms of its questions."""

from __future__ import annotations

from include.alarms.store import AlarmStore
from include.monitoring.alarm_records import record
from include.verdict import Finding
from tests.unit.alarms.samples import PARCELS, settings_in, window

BOTH = PARCELS.model_copy(
    update={
        "monitoring": PARCELS.monitoring.model_copy(update={"alarm_on": ("drift", "performance")})
    }
)
FAULT = Finding(
    rule="data_faults", subject="schema", passed=False, reason="input load is missing in 90%."
)
SOUND = Finding(rule="data_faults", subject="schema", passed=True)


def finding(kind: str, *, passed: bool, judged: bool = True, part: str = "") -> Finding:
    return Finding(
        rule="psi" if kind == "drift" else "auc_drop",
        subject=kind,
        part=part,
        metric="psi",
        observed=0.4,
        limit=0.3,
        passed=passed,
        judged=judged,
        reason="above the limit" if not passed else "within it",
    )


def judge(
    home, number: int, *findings: Finding, faults=(SOUND,), serving=(), use_case=BOTH
) -> list[str]:
    settings = settings_in(home)
    run = f"monitoring/day_{number}"
    record(settings, use_case, window(number), run, findings, faults, serving)
    return [alarm.key.kind for alarm in reversed(AlarmStore(settings).alarms(is_open=True))]


def test_each_question_has_its_own_alarm_with_what_refuses_as_evidence(tmp_path):
    parts = [finding("drift", passed=False, part=name) for name in ("load", "depot")]
    fine = finding("drift", passed=True, part="hour")
    whole = finding("drift", passed=False)
    bad = finding("performance", passed=False)
    assert judge(tmp_path, 0, whole, *parts, fine, bad) == ["drift", "performance"]
    drift = AlarmStore(settings_in(tmp_path)).alarm(1)
    assert drift.reason == whole.sentence
    assert drift.evidence.findings == (whole, *parts)
    assert (drift.window, drift.run) == (window(0), "monitoring/day_0")


def test_a_later_window_that_is_quiet_closes_and_one_that_is_not_judged_does_not(tmp_path):
    assert judge(tmp_path, 0, finding("performance", passed=False)) == ["performance"]
    unjudged = finding("performance", passed=True, judged=False)
    assert judge(tmp_path, 1, unjudged) == ["performance"]
    assert judge(tmp_path, 2) == ["performance"]
    assert judge(tmp_path, 3, finding("performance", passed=True)) == []


def test_late_labels_that_turn_a_verdict_turn_the_alarm(tmp_path):
    judge(tmp_path, 0, finding("performance", passed=True))
    assert judge(tmp_path, 0, finding("performance", passed=False)) == ["performance"]
    assert judge(tmp_path, 0, finding("performance", passed=True)) == []


def test_drift_that_is_only_reported_raises_nothing(tmp_path):
    assert judge(tmp_path, 0, finding("drift", passed=False), use_case=PARCELS) == []


def test_faults_of_the_data_are_an_alarm_of_their_own(tmp_path):
    assert judge(tmp_path, 0, faults=(FAULT,)) == ["schema"]
    assert AlarmStore(settings_in(tmp_path)).alarm(1).severity == "critical"
    assert judge(tmp_path, 1, faults=()) == ["schema"]  # could not be judged
    assert judge(tmp_path, 2) == []


def test_the_endpoint_has_an_alarm_of_its_own_that_a_quiet_interval_closes(tmp_path):
    slow, quick = (finding("efficiency", passed=passed) for passed in (False, True))
    unseen = finding("efficiency", passed=True, judged=False)
    assert judge(tmp_path, 0, serving=(slow,)) == ["serving"]
    assert judge(tmp_path, 1, serving=(unseen,)) == ["serving"]
    assert judge(tmp_path, 2, serving=(unseen, quick)) == ["serving"]
    assert judge(tmp_path, 3, serving=(quick, quick)) == []
