from __future__ import annotations

import json
from typing import get_args

import pytest

from include.started_by import (
    WORDS,
    events_of,
    sentence_of,
    sentences_of,
    sentences_of_tags,
    who_started,
    words_of,
)
from include.triggers.causes import Kind

ALARM = {"kind": "alarm", "who": "flight_delays__monitoring", "reason": "AUC fell to 0.61."}
MANUAL = {"kind": "manual", "who": "ada", "reason": "new carrier"}


def test_a_cause_is_one_sentence_of_what_happened_who_saw_it_and_the_reason():
    assert sentence_of(ALARM) == "Alarm (flight_delays__monitoring): AUC fell to 0.61."
    assert sentence_of({"kind": "schedule"}) == "Scheduled (the schedule)"
    assert sentence_of({"kind": "manual", "who": ""}) == "Started by hand (unknown)"


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_of_cause_has_its_words(kind):
    assert kind in WORDS


def test_a_run_without_causes_says_what_airflow_says_of_its_start():
    assert sentences_of([ALARM, MANUAL], "asset", "ada") == (
        "Alarm (flight_delays__monitoring): AUC fell to 0.61.",
        "Started by hand (ada): new carrier",
    )
    assert sentences_of([], "manual", "ada") == ("Started by hand (ada)",)
    assert sentences_of([], "scheduled", "") == ("Scheduled (the schedule)",)
    # What an asset event brought before it was recorded as a cause.
    assert sentences_of([{"asset": "flight_delays/alarm"}], "asset", "") == (
        "Asset event (unknown)",
    )


def test_runs_of_before_are_read_from_their_tags():
    tags = {"flightdeck.trigger": "scheduled", "flightdeck.triggered_by": "nobody"}
    assert sentences_of_tags(tags) == ("Scheduled (the schedule)",)
    cut = {**tags, "flightdeck.causes": json.dumps([ALARM])[:40]}
    assert sentences_of_tags(cut) == ("Scheduled (the schedule)",)
    whole = {**tags, "flightdeck.causes": json.dumps([ALARM])}
    assert sentences_of_tags(whole) == (sentence_of(ALARM),)
    assert sentences_of_tags({}) == ("unknown (unknown)",)


def test_who_is_the_user_then_who_saw_the_causes_and_never_nobody():
    assert who_started([ALARM, ALARM, MANUAL], "asset", "") == "flight_delays__monitoring+ada"
    assert who_started([ALARM], "manual", "grace") == "grace"
    assert who_started([], "scheduled", "") == "the schedule"
    assert who_started([], "asset", "") == "unknown"


def test_events_are_named_by_asset_and_by_the_dag_that_emitted_them():
    assert events_of([("flights/alarm", "flights__monitoring"), ("flights/alarm", None)]) == (
        "flights/alarm of flights__monitoring, flights/alarm of the API"
    )
    assert events_of([]) == ""


def test_kinds_read_as_words_where_there_is_little_room():
    assert words_of(["alarm", "new_data"]) == "Alarm, New labels"
    assert words_of(["unheard of"]) == "unheard of"
