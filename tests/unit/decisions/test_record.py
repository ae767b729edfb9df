"""One answer with everything that is recorded about it; what is not there is told with why."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import polars as pl
import pytest

from cli.application import invoke
from include.decisions.lookup import answers_about, logged_answer
from include.decisions.page import review_page
from include.decisions.record import decision_record
from include.errors import DataError
from include.inference_log.log import log_table
from include.inference_log.rows import shadow_id
from include.tables.store import TableStore
from tests.unit.decisions.parcels import NAME, RELEASED_BY, RELEASED_FOR, REVIEWED


def test_an_answer_is_shown_with_its_inputs_version_reason_and_contributions(answered):
    record = decision_record(answered.settings, REVIEWED, answered.ids[0])
    row = answered.frame.row(0, named=True)
    assert record.request["parcel_id"] == row["parcel_id"]
    assert record.features == {"depot_daily__load": row["depot_daily__load"]}
    assert record.flags == ("stale:depot_daily",)
    assert (record.label, record.feedback) == (row["late"], ())
    model = record.answered_by
    assert (model.version, model.digest, model.share) == (1, answered.digest, 1.0)
    assert (model.decided_by.number, model.decided_by.actor, model.decided_by.reason) == (
        answered.promotion.number,
        RELEASED_BY,
        RELEASED_FOR,
    )
    again = record.again
    assert (again.same, again.difference, again.threshold) == (True, 0.0, 0.5)
    assert set(again.contributions) == {"depot", "pickup_hour", "load"}
    margin = again.base_value + sum(again.contributions.values())
    assert 1 / (1 + 2.718281828459045**-margin) == pytest.approx(record.score, abs=1e-6)


def test_what_applications_told_about_an_answer_is_shown(answered):
    record = decision_record(answered.settings, REVIEWED, answered.ids[1])
    assert [(row["name"], row["value"]) for row in record.feedback] == [("reward", -2.5)]
    assert record.label is None


def test_an_answer_that_comes_out_otherwise_is_named(answered, monkeypatch):
    read = logged_answer(answered.settings, REVIEWED, answered.ids[2])
    changed = read.with_columns(pl.col("score") + 0.25)
    monkeypatch.setattr("include.decisions.record.logged_answer", lambda *_: changed)
    record = decision_record(answered.settings, REVIEWED, answered.ids[2])
    assert record.again.same is False
    assert "ANOTHER ANSWER" in review_page(REVIEWED, record, "engineer", "why")


def test_a_package_that_is_gone_or_another_hides_nothing_else(answered):
    aside = answered.package.with_name("aside")
    answered.package.rename(aside)
    try:
        record = decision_record(answered.settings, REVIEWED, answered.ids[3])
        shutil.copytree(aside, answered.package)
        (answered.package / "reference.json").write_text("{}")
        altered = decision_record(answered.settings, REVIEWED, answered.ids[3])
    finally:
        shutil.rmtree(answered.package, ignore_errors=True)
        aside.rename(answered.package)
    for shown in (record, altered):
        assert shown.again.same is None
        assert "The package of version 1 that answered cannot be loaded" in shown.again.problem
        assert shown.answered_by.decided_by.actor == RELEASED_BY
    assert "The model store has no package of parcels version 1" in record.again.problem
    assert "reference.json" in altered.again.problem


def test_values_of_callers_cannot_become_part_of_the_page(answered, monkeypatch):
    read = logged_answer(answered.settings, REVIEWED, answered.ids[4])
    evil = read.with_columns(depot=pl.lit("`|\n# [Uphold](http://x)"))
    monkeypatch.setattr("include.decisions.record.logged_answer", lambda *_: evil)
    record = decision_record(answered.settings, REVIEWED, answered.ids[4])
    page = review_page(REVIEWED, record, "engineer", "`because` | of\n\n# this")
    assert "\n# " not in page
    lines = [line for line in page.splitlines() if "[Uphold]" in line or "because" in line]
    assert len(lines) == 3
    assert all(line.count("`") == 4 or line.count("`") == 2 for line in lines)


@pytest.mark.parametrize(
    ("prediction_id", "words"),
    [
        ("my-request-7", "no prediction id, which has 32 hexadecimal digits"),
        ("0190a0b4f0c07d1e9f6a3c2b1d0e4f5a", "the oldest that is left is of"),
        ("0fffa0b4f0c07d1e9f6a3c2b1d0e4f5a", "The log holds answers from"),
    ],
)
def test_an_id_that_the_log_does_not_have_says_why(answered, prediction_id, words):
    keeping = REVIEWED.model_copy(
        update={"serving": REVIEWED.serving.model_copy(update={"log_days": 30})}
    )
    with pytest.raises(DataError, match=words):
        logged_answer(answered.settings, keeping, prediction_id)


def test_the_row_of_a_shadow_and_one_outside_the_logged_share_are_named_so(answered):
    with pytest.raises(DataError, match="was compared and went to nobody"):
        logged_answer(answered.settings, REVIEWED, shadow_id(answered.ids[0]))
    part = REVIEWED.model_copy(
        update={"serving": REVIEWED.serving.model_copy(update={"log_share": 0.0})}
    )
    unlogged = f"{answered.ids[0][:-1]}f"
    with pytest.raises(DataError, match="a share of 0 of the answers"):
        logged_answer(answered.settings, part, unlogged)


def test_an_empty_log_says_where_rows_would_come_from(answered, tmp_path):
    elsewhere = answered.settings.model_copy(update={"tables_uri": str(tmp_path)})
    with pytest.raises(DataError, match="`flightdeck ship` brings its rows"):
        logged_answer(elsewhere, REVIEWED, answered.ids[0])


def test_answers_are_found_by_what_was_asked_and_when(answered):
    depot = answered.frame["depot"][0]
    until = answered.start + timedelta(seconds=30)
    rows = answers_about(answered.settings, REVIEWED, {"depot": depot}, until)
    expected = [
        identifier
        for number, identifier in enumerate(answered.ids)
        if answered.frame["depot"][number] == depot and number <= 30
    ]
    assert rows["prediction_id"].to_list() == expected[::-1]
    with pytest.raises(DataError, match="not asked about 'depo'; its id, entity keys"):
        answers_about(answered.settings, REVIEWED, {"depo": depot}, until)
    with pytest.raises(DataError, match="answered nothing about depot=nowhere"):
        answers_about(answered.settings, REVIEWED, {"depot": "nowhere"}, until)
    with pytest.raises(DataError, match="is no Datetime"):
        answers_about(answered.settings, REVIEWED, {"pickup": "soon"}, until)


def test_an_answer_of_a_version_that_no_row_of_the_ledger_put_there_says_so(answered, monkeypatch):
    read = logged_answer(answered.settings, REVIEWED, answered.ids[5])
    by_hand = read.with_columns(model_version=pl.lit(7, dtype=pl.Int64))
    monkeypatch.setattr("include.decisions.record.logged_answer", lambda *_: by_hand)
    record = decision_record(answered.settings, REVIEWED, answered.ids[5])
    assert (record.answered_by.decided_by, record.answered_by.share) == (None, None)
    assert "traffic was set by hand" in review_page(REVIEWED, record, "engineer", "why")


def test_the_command_prints_it_for_people_and_for_programs(answered, capsys):
    assert TableStore(answered.settings.tables_uri).exists(log_table(NAME))
    invoke(["decisions", "show", NAME, answered.ids[0]], answered.settings)
    printed = capsys.readouterr().out
    assert RELEASED_FOR in printed
    assert "the same answer" in printed
    arguments = ["--entity", f"depot={answered.frame['depot'][0]}", "--at", "2999-01-01", "--json"]
    invoke(["decisions", "show", NAME, *arguments], answered.settings)
    shown = json.loads(capsys.readouterr().out)
    assert shown["prediction_id"] in answered.ids
    assert shown["again"]["same"] is True
    with pytest.raises(DataError, match="--row is 999, and there are"):
        invoke(["decisions", "show", NAME, *arguments, "--row", "999"], answered.settings)
    with pytest.raises(DataError, match="Name a decision by its prediction id"):
        invoke(["decisions", "show", NAME], answered.settings)
