"""What an auditor must see first, over real ledgers, alarms and tables; and what turns a state."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from include.alarms.records import signal_of
from include.alarms.store import AlarmStore
from include.decisions.reviews import Decided, record_review
from include.evidence.judged import judged
from include.evidence.logged import logged
from include.evidence.records import Period
from include.evidence.releases import releases
from include.evidence.watched import watched
from include.inference_log.log_tables import GAPS_SCHEMA, gaps_table, log_table
from include.interval import Interval
from include.monitoring.records import MONITORING_SCHEMA
from include.release.approval import APPROVAL
from include.release.ledger import Ledger
from include.release.rollout.overrides import override_gates
from include.spec import Release, Serving
from include.tables.completed import mark_complete
from include.tables.store import TableStore
from include.use_cases.flight_delays.spec import USE_CASE
from include.verdict import Finding, Verdict
from tests.unit.evidence.subject import DIGEST, NAME, NOW, by_kind

APPROVED = USE_CASE.model_copy(
    update={"release": Release(approval="all", approvers=("ada", "bob"), risk_class="high")}
)
RUN = {"run": {"process": "deployment", "run_id": "r1"}}


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def rules(part) -> list[str]:
    return [item.rule for item in part.findings]


def gates_json(*, passed: bool) -> bytes:
    columns = ["gate", "metric", "split", "slice", "threshold", "observed", "passed", "reason"]
    row = ["auc", "auc", "test", "", 0.7, 0.6, passed, "below the threshold"]
    return json.dumps({"columns": columns, "data": [row]}).encode()


def write_windows(home, *windows: tuple[datetime, datetime], labelled: int = 10) -> None:
    rows = [
        {
            "interval_start": start,
            "interval_end": end,
            "rows": 10,
            "labelled": labelled,
            "alarm": False,
            "verdict": "none",
            "model_version": 1,
        }
        for start, end in windows
    ]
    frame = pl.DataFrame(rows, schema=MONITORING_SCHEMA)
    TableStore(home.tables_uri).replace_all(f"{NAME}/monitoring", frame)


def write_log(home, moments: list[datetime], version: int = 1) -> None:
    count = len(moments)
    frame = pl.DataFrame(
        {
            "prediction_id": [f"secret-{number}" for number in range(count)],
            "sequence": range(count),
            "model_version": [version] * count,
            "answered_at": moments,
            USE_CASE.event_time: moments,
            "score": [0.5] * count,
        }
    )
    TableStore(home.tables_uri).replace_all(log_table(NAME), frame)


def test_a_version_past_its_gates_is_a_finding_with_who_let_it(scope_of, home):
    files = {"gates.json": gates_json(passed=False)}
    (refused,) = by_kind(judged(scope_of(files=files)))["gates"].findings
    assert "refused by auc, and no row of the ledger lets it be released" in refused.reason
    verdict = Verdict(findings=(Finding(rule="auc", passed=False),))
    override_gates(
        Ledger(home), NAME, 1, DIGEST, actor="ada", reason="try", verdict=verdict, evidence={}
    )
    (forced,) = by_kind(judged(scope_of(files=files)))["gates"].findings
    assert "ada let it be released all the same (row 1 of the ledger: try)" in forced.reason
    passed = by_kind(judged(scope_of(files={"gates.json": gates_json(passed=True)})))["gates"]
    assert (passed.state, passed.findings) == ("present", ())
    assert by_kind(judged(scope_of()))["gates"].state == "missing"


def test_an_approval_by_the_requester_is_a_finding(scope_of, row):
    row("requested", "ada", about=APPROVAL, **RUN)
    row("approved", "bob", about=APPROVAL, requesters=["ada"], **RUN)
    row("promoted", "ada", **RUN)
    approval = by_kind(releases(scope_of(use_case=APPROVED), NOW))["approval"]
    assert (approval.state, approval.findings) == ("present", ())
    assert approval.facts[0].startswith("bob approved on")
    other = {"run": {"process": "deployment", "run_id": "r2"}}
    row("requested", "bob", about=APPROVAL, **other)
    row("approved", "bob", about=APPROVAL, requesters=["bob"], **other)
    row("promoted", "bob", **other)
    approval = by_kind(releases(scope_of(use_case=APPROVED), NOW))["approval"]
    assert (approval.state, rules(approval)) == ("partly", ["four_eyes"])
    assert "bob asked for the release and approved it (row 5" in approval.findings[0].reason


def test_a_promotion_without_the_approval_that_the_policy_asks_for_is_a_finding(scope_of, row):
    row("promoted", "ada", **RUN)
    approval = by_kind(releases(scope_of(use_case=APPROVED), NOW))["approval"]
    assert (approval.state, rules(approval)) == ("missing", ["approval"])
    open_policy = by_kind(releases(scope_of(), NOW))["approval"]
    assert (open_policy.state, open_policy.findings) == ("missing", ())
    assert "Release(approval='all'" in open_policy.lacks[0].how


def test_who_answered_at_which_share_is_told_and_a_roll_back_is_a_finding(scope_of, row):
    row("promoted", "ada", "first", **RUN)
    scope = scope_of(Period(until=NOW + timedelta(days=10_000)))
    service = by_kind(releases(scope, NOW))["service"]
    assert (service.state, len(service.facts)) == ("present", 1)
    assert "In service at 1 of the rows" in service.facts[0]
    row("rolled_back", "bob", "it was slow", back_to=None)
    service = by_kind(releases(scope_of(), NOW))["service"]
    assert (service.state, rules(service)) == ("partly", ["rolled_back"])
    assert "Out of service" in service.facts[1]
    row("override", "ada", "go on", about="decide")
    assert "override" in rules(by_kind(releases(scope_of(), NOW))["service"])


def test_releases_after_the_period_count_only_where_its_data_were_replayed(scope_of, row, home):
    row("promoted", "ada", **RUN)
    before = Period(day(1), day(9))
    assert by_kind(releases(scope_of(before), NOW))["service"].state == "missing"
    write_windows(home, (day(1), day(9)))
    assert by_kind(releases(scope_of(before), NOW))["service"].state == "present"


def test_a_ledger_that_was_rewritten_is_the_finding_and_no_evidence(scope_of, row, home):
    row("promoted", "ada", **RUN)
    assert by_kind(releases(scope_of(), NOW))["ledger"].state == "present"
    with sqlite3.connect(home.ledger_path) as database:
        database.execute("DROP TRIGGER release_ledger_no_update")
        database.execute("UPDATE release_ledger SET actor = 'eve'")
    parts = by_kind(releases(scope_of(), NOW))
    assert parts["ledger"].state == parts["service"].state == "missing"
    assert [item.subject for item in parts["ledger"].findings] == ["edited"]


def test_a_period_without_monitoring_is_a_finding(scope_of, home):
    period = Period(day(1), day(11))
    parts = by_kind(watched(scope_of(period), NOW))
    assert (parts["monitoring"].state, rules(parts["monitoring"])) == (
        "missing",
        ["monitoring_gap"],
    )
    write_windows(home, (day(1), day(4)), (day(6), day(11)))
    monitoring = by_kind(watched(scope_of(period), NOW))["monitoring"]
    assert (monitoring.state, rules(monitoring)) == ("partly", ["monitoring_gap"])
    reason = monitoring.findings[0].reason
    assert "2026-01-04 00:00 to 2026-01-06 00:00 UTC" in reason
    assert "20% have no window" in reason
    write_windows(home, (day(1), day(6)), (day(6), day(11)))
    parts = by_kind(watched(scope_of(period), NOW))
    assert (parts["monitoring"].state, parts["performance"].state) == ("present", "present")
    assert parts["alarms"].facts == ("No alarm was raised in the monitored windows.",)


def test_without_a_period_what_was_scored_should_have_been_monitored(scope_of, home):
    assert by_kind(watched(scope_of(), NOW))["monitoring"].state == "missing"
    write_windows(home, (day(1), day(2)))
    assert by_kind(watched(scope_of(), NOW))["monitoring"].state == "present"
    tables = TableStore(home.tables_uri)
    mark_complete(tables, NAME, "batch_scoring", Interval(day(2), day(5)), {})
    monitoring = by_kind(watched(scope_of(), NOW))["monitoring"]
    assert "2026-01-02 00:00 to 2026-01-05 00:00 UTC" in monitoring.findings[0].reason


def test_a_window_that_is_not_over_is_no_gap(scope_of, home):
    write_windows(home, (day(1), day(8)))
    monitoring = by_kind(watched(scope_of(Period(day(1), None)), day(10)))["monitoring"]
    assert monitoring.state == "present"
    monitoring = by_kind(watched(scope_of(Period(day(1), day(31))), day(10)))["monitoring"]
    assert monitoring.state == "present"
    monitoring = by_kind(watched(scope_of(Period(day(1), day(31))), day(30)))["monitoring"]
    assert rules(monitoring) == ["monitoring_gap"]


def test_windows_without_labels_leave_performance_open(scope_of, home):
    write_windows(home, (day(1), day(2)), labelled=0)
    performance = by_kind(watched(scope_of(), NOW))["performance"]
    assert performance.state == "missing"
    assert "feedback" in performance.lacks[0].how


def test_an_alarm_that_nobody_closed_is_a_finding(scope_of, home):
    store = AlarmStore(home)
    signal = signal_of(USE_CASE, "drift", "the inputs moved.", run="monitoring/1")
    alarm = store.signal(signal, now=day(5))
    alarms = by_kind(watched(scope_of(Period(day(1), day(20))), NOW))["alarms"]
    assert (alarms.state, rules(alarms)) == ("partly", ["alarm_open"])
    assert "open since 2026-01-05 00:00 and not closed, nobody acknowledged it" in (
        alarms.findings[0].reason
    )
    store.close(alarm.number, actor="ada", reason="the source is repaired", now=day(25))
    closed = by_kind(watched(scope_of(), NOW))["alarms"]
    assert (closed.state, closed.findings) == ("present", ())
    assert "closed on 2026-01-25 00:00 by ada: the source is repaired" in closed.facts[1]
    # What was closed after the period was open at its end.
    assert rules(by_kind(watched(scope_of(Period(day(1), day(20))), NOW))["alarms"]) == [
        "alarm_open"
    ]
    document = json.loads(closed.files[0].content)
    assert [item["event"] for item in document[0]["history"]] == ["raised", "closed"]


def test_a_gap_of_the_log_is_a_finding_and_no_row_of_it_is_shown(scope_of, home):
    assert by_kind(logged(scope_of()))["log"].state == "missing"
    write_log(home, [day(1), day(1), day(3)])
    log = by_kind(logged(scope_of()))["log"]
    assert (log.state, log.findings) == ("present", ())
    assert log.facts[0] == "3 answers of this version on 2 days, 0 missing."
    assert all(b"secret" not in file.content for file in log.files)
    gap = {"sequence": 1, "rows": 4, "total": 4, "noticed_at": day(3), "reason": "no space"}
    TableStore(home.tables_uri).replace_all(
        gaps_table(NAME), pl.DataFrame([gap], schema=GAPS_SCHEMA)
    )
    log = by_kind(logged(scope_of(Period(day(1), day(9)))))["log"]
    assert (log.state, rules(log)) == ("partly", ["log_gap"])
    assert log.findings[0].observed == 4
    before = by_kind(logged(scope_of(Period(day(1), day(2)))))["log"]
    assert before.findings == (), "the gap was noticed after the period"


def test_another_answer_of_a_day_changes_its_digest_alone(scope_of, home):
    def digests() -> list[str]:
        log = by_kind(logged(scope_of()))["log"]
        return [line.rpartition(",")[2] for line in log.files[1].content.decode().split()[1:]]

    write_log(home, [day(1), day(2)])
    first = digests()
    write_log(home, [day(1), day(2), day(2)])
    second = digests()
    assert first[0] == second[0]
    assert first[1] != second[1]


@pytest.mark.parametrize(
    ("serving", "what"),
    [({"log_share": 0.5}, "they are sampled"), ({"log_days": 30}, "rows older than 30 days")],
)
def test_what_is_declared_to_be_left_out_of_the_log_is_missing(scope_of, home, serving, what):
    write_log(home, [day(1)])
    case = USE_CASE.model_copy(update={"serving": USE_CASE.serving.model_copy(update=serving)})
    assert isinstance(case.serving, Serving)
    log = by_kind(logged(scope_of(use_case=case)))["log"]
    assert log.state == "partly"
    assert what in log.lacks[0].what


def test_reviews_of_decisions_are_there_when_nobody_waits_for_one(scope_of, row, home):
    def part(period=None):
        return by_kind(releases(scope_of(period), NOW))["reviews"]

    assert part().state == "missing"
    for decision in ("p1", "p2"):
        row("review_requested", prediction_id=decision, answered_at="2026-01-01T00:00+00:00")
    assert (part().state, part().facts) == ("missing", ("Contested 2, reviewed 0, overturned 0.",))
    requests = {entry.evidence["prediction_id"]: entry for entry in Ledger(home).rows(NAME)}

    def review(decision, outcome, replaced):
        decided = Decided(outcome, replaced)
        record_review(Ledger(home), requests[decision], decided, reviewer="bob", reason="it was so")

    review("p1", "overturned", True)
    assert (part().state, part().facts) == ("partly", ("Contested 2, reviewed 1, overturned 1.",))
    review("p2", "upheld", None)
    assert (part().state, part().facts) == ("present", ("Contested 2, reviewed 2, overturned 1.",))
    (file,) = part().files
    assert [item["outcome"] for item in json.loads(file.content)] == ["overturned", "upheld"]
    assert part(Period(until=day(1))).state == "missing"
