from __future__ import annotations

from types import SimpleNamespace

import pytest

from plugins.run_note import NOTE_CHARACTERS, note_of, task_note_of, write_note

WINDOW = "2013-04-01 00:00 to 2013-05-01 00:00 UTC"
CAUSE = {"kind": "alarm", "who": "flight_delays__monitoring", "reason": "AUC fell to 0.61."}


def test_a_refused_run_says_by_what_why_it_ran_and_the_first_reasons():
    note = note_of(
        state="failed",
        interval=WINDOW,
        started="Scheduled",
        results={
            "open_run": {"causes": [CAUSE]},
            "check_gates": {"accepted": False, "reasons": [f"gate {n} refused" for n in range(5)]},
        },
        failed=["check_gates"],
    )
    assert note.splitlines()[0] == "**Refused** by `check_gates`."
    assert "Why it ran: Alarm (flight_delays__monitoring): AUC fell to 0.61." in note
    assert f"Data: {WINDOW}" in note
    assert [line for line in note.splitlines() if line.startswith("- ")] == [
        "- gate 0 refused",
        "- gate 1 refused",
        "- gate 2 refused",
        "- and 2 more in the log of `check_gates`",
    ]


def test_a_failure_without_a_verdict_names_the_task():
    note = note_of(
        state="failed",
        interval="",
        started="Scheduled (the schedule): none",
        results={},
        failed=["train_model"],
    )
    assert note.startswith("**Failed** in `train_model`: its log says why.")
    assert "Why it ran: Scheduled (the schedule): none" in note
    assert "Data:" not in note


def test_a_release_that_was_rolled_back_says_where_which_version_and_why():
    look = {"accepted": False, "move": "abort", "reasons": ["scores: observed 4.6, threshold 0.5."]}
    note = note_of(
        state="failed",
        interval="",
        started="By hand",
        results={"select_version": {"version": 3}, "shift_to_5_percent": look},
        failed=["shift_to_5_percent"],
    )
    assert note.splitlines()[0] == (
        "**Rolled back** in `shift_to_5_percent`: version 3 does not serve."
    )
    assert "- scores: observed 4.6, threshold 0.5." in note


def test_a_promotion_says_what_its_stages_compared():
    first = {"accepted": True, "move": "advance", "stage": "shift_to_5_percent", "share": 0.25}
    second = {"accepted": True, "move": "complete", "stage": "shift_to_25_percent", "share": 1.0}
    note = note_of(
        state="success",
        interval="",
        started="By hand",
        results={
            "shift_to_25_percent": {**second, "verdict": {}},
            "shift_to_5_percent": {**first, "verdict": {"challenger_rows": 1203}},
            "promote_version": {"version": 3},
        },
        failed=[],
    )
    assert note.splitlines()[0] == (
        "**Done.** Version 3 is in service. `shift_to_5_percent` passed (1,203 rows)."
        " `shift_to_25_percent` passed (a person let it go on)."
    )


def test_what_a_good_run_changed_is_its_headline():
    def headline(**results: dict) -> str:
        done = note_of(state="success", interval=WINDOW, started="x", results=results, failed=[])
        return done.splitlines()[0]

    assert headline(register_model={"version": 3}) == (
        "**Done.** Version 3 is registered as challenger."
    )
    assert headline(promote_version={"version": 3}) == "**Done.** Version 3 is in service."
    assert headline(roll_back={"version": 2}) == "**Done.** Version 2 is in service again."
    assert headline() == "**Done.**"


def announcement(kind: str, reason: str, *, announce: bool = True) -> dict:
    return {"announce": announce, "reason": reason, "extra": {"cause_id": f"{kind}:run_1"}}


QUIET = {"announce": False, "reason": "No alarm: none.", "extra": {}}
SUPPRESSED = announcement("alarm", "Suppressed: cool-down.", announce=False)
AGAIN = announcement("alarm", "AUC is 0.6. (training t1 broke before it decided)")


@pytest.mark.parametrize(
    ("reasons", "raised", "headline", "on_the_task"),
    [
        ([], QUIET, "**Done.** No alarm.", None),
        (
            ["AUC is 0.6."],
            announcement("alarm", "AUC is 0.6."),
            "**Alarm.** AUC is 0.6.",
            "**Alarm.** AUC is 0.6.",
        ),
        (
            ["AUC is 0.6."],
            SUPPRESSED,
            "**Alarm.** AUC is 0.6. Suppressed: cool-down.",
            "**Alarm.** Suppressed: cool-down.",
        ),
        (
            [],
            AGAIN,
            f"**Done.** No alarm. **Alarm.** {AGAIN['reason']}",
            f"**Alarm.** {AGAIN['reason']}",
        ),
    ],
    ids=["quiet", "alarm", "suppressed", "given back"],
)
def test_a_month_with_an_alarm_begins_with_it_and_a_quiet_one_marks_no_task(
    reasons, raised, headline, on_the_task
):
    results = {
        "decide_alarm": {"alarm": bool(reasons), "reasons": reasons},
        "raise_alarm": raised,
    }
    note = note_of(state="success", interval=WINDOW, started="x", results=results, failed=[])
    assert note.splitlines()[0] == headline
    assert task_note_of(raised) == on_the_task


def test_new_labels_that_start_a_training_are_what_came_of_the_run():
    results = {"check_new_data": announcement("new_data", "900 labels became known.")}
    note = note_of(state="success", interval=WINDOW, started="x", results=results, failed=[])
    assert note.splitlines()[0] == "**Done.** **New labels.** 900 labels became known."


def test_a_note_is_never_longer_than_airflow_keeps():
    reasons = ["東" * 400] * 3
    note = note_of(
        state="failed",
        interval=WINDOW,
        started="y" * 400,
        results={"check_gates": {"accepted": False, "reasons": reasons}},
        failed=["check_gates"],
    )
    assert len(note) <= NOTE_CHARACTERS


def test_a_run_of_a_dag_that_is_not_ours_is_left_alone():
    stranger = SimpleNamespace(dag_id="another_team__features", note=None)
    write_note(stranger)  # reads neither session nor results: there are none
    assert stranger.note is None
