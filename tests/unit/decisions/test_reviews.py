"""A review counts where a named person with the right to it has answered this very request; what it
says stands in the signed ledger, once, and names the reviews before it.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from cli.application import invoke
from include.decisions.record import decision_record
from include.decisions.reviews import all_reviews, open_request, replacement, standing
from include.decisions.right import OVERTURN, UPHOLD
from include.decisions.sampling import NEAR, RANDOM, draw
from include.decisions.statistics import review_rates
from include.errors import ReleaseError, SpecError
from include.interval import Interval
from include.processes.decisions.review import close_review, expire_review, request_review
from include.release.ledger import Ledger
from include.spec import Review, UseCase
from tests.unit.decisions.parcels import NAME, REVIEWED, ROWS, answer_to
from tests.unit.model.synthetic import USE_CASE

MORE_THAN_ONCE = 4


def ledger_rows(answered, run_id):
    rows = Ledger(answered.settings).rows(NAME)
    return [row for row in rows if row.run == f"decision_review/{run_id}"]


def review(answered, run_id, row, **answer):
    context = answered.context(run_id, row)
    request = request_review(context)
    return context, close_review(context, answer_to(request, **answer))


def test_a_named_persons_answer_is_recorded_and_holds(answered):
    _, result = review(answered, "good", 0)
    requested, reviewed = ledger_rows(answered, "good")
    assert (requested.event, requested.actor, requested.reason) == (
        "review_requested",
        "engineer",
        "the parcel was never sent",
    )
    assert (reviewed.event, reviewed.actor) == ("reviewed", "reviewer")
    before = bool(decision_record(answered.settings, REVIEWED, answered.ids[0]).decision)
    assert (result.accepted, result.outcome, result.decision) == (True, "overturned", not before)
    assert (reviewed.version, reviewed.digest) == (1, answered.digest)
    shown = decision_record(answered.settings, REVIEWED, answered.ids[0]).reviews
    assert [(one.reviewer, one.outcome, one.requested_by) for one in shown] == [
        ("reviewer", "overturned", ("engineer",))
    ]
    assert Ledger(answered.settings).verify().number >= reviewed.number
    assert open_request(Ledger(answered.settings).rows(NAME), answered.ids[0]) is None


def test_the_ledger_keeps_nothing_of_what_was_asked_or_known(answered):
    review(answered, "private", 10)
    row = answered.frame.row(10, named=True)
    written = json.dumps([entry.as_json() for entry in ledger_rows(answered, "private")])
    assert row["parcel_id"] not in written
    assert str(row["depot_daily__load"]) not in written


@pytest.mark.parametrize(
    ("changes", "rule", "words"),
    [
        ({"by": "stranger"}, "approver", "stranger may not choose 'Overturn'"),
        ({"by": None}, "approver", "a time-out answered"),
        ({"people": ("reviewer",)}, "four_eyes", "reviewer asked for this review and may not"),
        ({"reason": "no"}, "reason", "gives no reason"),
        ({"chosen": "Approve"}, "decision", "chose 'Approve'"),
        ({"body": "something else"}, "request", "another text than the ledger recorded"),
        ({"try_number": 2}, "request", "an answer counts for its own try only"),
        ({"answered_at": None}, "answer", "Nobody has answered"),
        ({"chosen": UPHOLD, "decision": "no"}, "replacement", "upheld is replaced by nothing"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else None,
)
def test_anything_else_is_refused_by_name_and_recorded(answered, changes, rule, words):
    run_id = f"refused_{rule}_{sorted(changes)[0]}_{words[:3]}"
    _, result = review(answered, run_id, 11, **changes)
    assert (result.accepted, result.outcome) == (False, None)
    assert words in " ".join(result.reasons)
    assert result.checks[rule]["passed"] is False
    assert ledger_rows(answered, run_id)[-1].event == "review_refused"
    assert answered.ids[11] not in {one.prediction_id for one in all_reviews(answered.settings)}


def test_a_request_that_was_marked_and_not_run_is_refused(answered):
    with pytest.raises(SpecError, match="its task was marked, not run"):
        close_review(answered.context("unasked"), answer_to(request_review(answered.context("x"))))


def test_nobody_in_time_leaves_the_decision_unreviewed(answered):
    context = answered.context("late", 12)
    request_review(context)
    assert open_request(Ledger(answered.settings).rows(NAME), answered.ids[12]) is not None
    assert expire_review(context).accepted is False
    assert ledger_rows(answered, "late")[-1].reason == "Nobody answered within 72 hours."
    assert open_request(Ledger(answered.settings).rows(NAME), answered.ids[12]) is None


@pytest.mark.parametrize("missing", ["prediction_id", "reason"])
def test_a_run_without_a_decision_or_a_reason_says_what_it_needs(answered, missing):
    context = answered.context("unnamed")
    params = {**context.run.params, missing: None}
    with pytest.raises(SpecError, match="needs the parameters 'prediction_id'"):
        request_review(replace(context, run=replace(context.run, params=params)))


def test_copies_of_one_review_at_once_are_one_record(answered):
    context = answered.context("copies", 20)
    answer = answer_to(request_review(context))
    with ThreadPoolExecutor(MORE_THAN_ONCE) as pool:
        results = list(pool.map(lambda _: close_review(context, answer), range(MORE_THAN_ONCE)))
    assert len({result.ledger_row for result in results}) == 1
    assert [row.event for row in ledger_rows(answered, "copies")] == [
        "review_requested",
        "reviewed",
    ]


def test_of_contradictory_reviews_at_once_the_later_names_the_earlier_and_stands(answered):
    runs = {"against": OVERTURN, "for": UPHOLD}
    contexts = {run: answered.context(run, 21) for run in runs}
    answers = {run: answer_to(request_review(contexts[run]), chosen=runs[run]) for run in runs}
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(lambda run: close_review(contexts[run], answers[run]), runs))
    first, second = (
        one for one in all_reviews(answered.settings) if one.prediction_id == answered.ids[21]
    )
    assert (first.earlier, first.contradicts) == ((), False)
    assert (second.earlier, second.contradicts) == ((first.number,), True)
    assert second in standing(all_reviews(answered.settings))


def test_what_replaces_a_decision_fits_the_problem():
    assert replacement(USE_CASE, "overturned", True, "").decision is False
    assert replacement(USE_CASE, "overturned", False, "yes").decision is True
    assert replacement(USE_CASE, "upheld", True, "").decision is None
    with pytest.raises(ReleaseError, match="overturning it makes it 'no'; 'yes' was typed"):
        replacement(USE_CASE, "overturned", True, "yes")


def test_rates_by_version_and_segment_count_the_review_that_stands(answered):
    for number, (row, chosen) in enumerate([(30, OVERTURN), (31, UPHOLD), (30, UPHOLD)]):
        review(answered, f"rate{number}", row, chosen=chosen)
    ids = {answered.ids[30], answered.ids[31]}
    written = [one for one in all_reviews(answered.settings) if one.prediction_id in ids]
    rates = review_rates(answered.settings, REVIEWED, written)
    version = rates[0]
    assert (version.segment, version.value, version.answered) == ("version", "1", ROWS)
    assert (version.reviewed, version.overturned, version.overturned_share) == (2, 0, 0.0)
    depots = [rate for rate in rates if rate.segment == "depot"]
    assert sum(rate.reviewed for rate in depots) == 2
    counts = answered.frame["depot"].value_counts()
    assert all((rate.value, rate.answered) in counts.rows() for rate in depots)


def declaring(**review: float) -> UseCase:
    return REVIEWED.model_copy(update={"review": Review(**review)})


def test_a_worklist_comes_out_again_without_what_was_reviewed(answered):
    window = answered.window
    drawn = draw(answered.settings, REVIEWED, window)
    assert drawn == draw(answered.settings, REVIEWED, window)
    # Which rows the share takes follows from their ids, which are new in each run of the tests.
    near = draw(answered.settings, declaring(band=0.05), window)
    assert {one.why for one in near} == {NEAR}
    assert all(abs(one.score - 0.5) <= 0.05 for one in near)
    chosen = {one.prediction_id for one in drawn if one.why == RANDOM}
    assert {one.prediction_id for one in drawn} == chosen | {one.prediction_id for one in near}
    larger = {one.prediction_id for one in draw(answered.settings, declaring(share=0.6), window)}
    assert chosen < larger
    rest = draw(answered.settings, REVIEWED, window, {drawn[0].prediction_id})
    assert rest == drawn[1:]
    assert (
        draw(answered.settings, REVIEWED, Interval(window.end, window.end + timedelta(hours=1)))
        == []
    )
    with pytest.raises(SpecError, match=r"review\.share and review\.band are 0"):
        draw(answered.settings, USE_CASE, window)


def test_the_commands_list_sample_and_refuse_what_makes_no_sense(answered, capsys):
    review(answered, "listed", 40)
    invoke(["decisions", "list", "--use-case", NAME, "--json"], answered.settings)
    content = json.loads(capsys.readouterr().out)
    assert answered.ids[40] in {one["prediction_id"] for one in content["reviews"]}
    assert content["rates"][NAME][0]["segment"] == "version"
    invoke(
        ["decisions", "list", "--outcome", "overturned", "--version", "1", "--from", "2020-01-01"],
        answered.settings,
    )
    printed = capsys.readouterr().out
    assert answered.ids[40] in printed
    assert "overturned of those reviewed" in printed
    invoke(["decisions", "list", "--version", "9"], answered.settings)
    assert "none fulfils every condition" in capsys.readouterr().out
    invoke(["decisions", "sample", NAME, "--from", "2020-01-01"], answered.settings)
    assert "decisions to look at" in capsys.readouterr().out
    with pytest.raises(ReleaseError, match="valid: \\['upheld', 'overturned'\\]"):
        invoke(["decisions", "list", "--outcome", "fine"], answered.settings)
    rest = ["--outcome", "upheld", "--reason", "it was right"]
    with pytest.raises(ReleaseError, match="No review of 0"):
        invoke(["decisions", "review", NAME, answered.ids[41], *rest], answered.settings)
