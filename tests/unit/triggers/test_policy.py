"""What starts a training and what does not: policies, the table of causes, and runs that must not
share a cause.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from include.errors import SpecError
from include.interval import Interval
from include.settings import Settings, load_settings
from include.spec import Triggers
from include.steps import RunInfo, StepContext
from include.tables.completed import mark_complete
from include.tables.store import TIMESTAMP, TableStore
from include.triggers.causes import Cause, amend, causes_of_run, give_back, read_causes
from include.triggers.decisions import read_decisions, record_decision
from include.triggers.policy import check_new_data, collect_causes, propose_alarm
from tests.step_runs import run_step
from tests.unit.model.synthetic import USE_CASE

pytestmark = pytest.mark.slow  # measured at two seconds or more

LIMITS = Triggers(new_rows=100, new_share=0.5, alarm_cool_down=timedelta(days=7), alarms_per_day=1)
PARCELS = USE_CASE.model_copy(update={"triggers": LIMITS})
DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path) -> Settings:
    return load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": str(tmp_path)})


def day(number: int) -> Interval:
    start = datetime(2020, 3, 1, tzinfo=UTC) + number * DAY
    return Interval(start, start + DAY)


def context(
    settings,
    process: str,
    interval: Interval,
    *,
    trigger: str = "scheduled",
    use_case=PARCELS,
    **run,
) -> StepContext:
    named = {"run_id": f"{process}_{interval.label}", **run}
    return StepContext(
        use_case, settings, interval, RunInfo(process=process, trigger=trigger, **named)
    )


def verdict(
    *, alarm: bool = True, judged: bool = True, missing: float = 0.1, reasons=("AUC is 0.6.",)
) -> dict:
    column = {"column": "load", "missing_share": missing, "reference_missing_share": 0.1}
    decided = {
        "alarm": alarm,
        "verdict": "performance" if alarm else "none",
        "reasons": reasons,
        "facts": {"auc": 0.6},
    }
    return SimpleNamespace(**decided), SimpleNamespace(judged=judged, columns=[column])


def alarm(
    settings,
    interval: Interval,
    *,
    complete: bool = True,
    use_case=PARCELS,
    run_id: str | None = None,
    **found,
) -> dict:
    if complete:
        mark_complete(TableStore(settings.tables_uri), use_case.name, "features", interval, {})
    run = {} if run_id is None else {"run_id": run_id}
    return propose_alarm(
        context(settings, "monitoring", interval, use_case=use_case, **run), *verdict(**found)
    ).as_json()


def collect(settings, interval: Interval, run_id: str, **run) -> dict:
    return run_step(collect_causes, context(settings, "training", interval, run_id=run_id, **run))


def statuses(settings) -> list[tuple[str, str]]:
    return [(cause.kind, cause.status) for cause in read_causes(settings, PARCELS.name)]


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (["AUC is 0.6.", "Input load drifts."], "AUC is 0.6. Input load drifts."),
        (["AUC 0.6", "load drifts"], "AUC 0.6; load drifts"),
        ([], "performance"),
    ],
)
def test_the_reason_of_a_training_is_made_of_sentences(settings, reasons, reason):
    assert alarm(settings, day(0), reasons=reasons)["reason"] == reason


def test_an_alarm_is_announced_and_recorded_with_its_evidence(settings):
    result = alarm(settings, day(0))
    assert result["announce"] is True
    (cause,) = read_causes(settings, PARCELS.name)
    assert (cause.kind, cause.status, cause.reason) == ("alarm", "pending", "AUC is 0.6.")
    assert cause.evidence == {"verdict": "performance", "facts": {"auc": 0.6}}
    assert (cause.source_dag_id, cause.interval) == ("parcels__monitoring", day(0))
    assert result["extra"]["cause_id"] == cause.cause_id
    assert result["extra"]["interval"] == day(0).as_json()


def decide(settings, interval: Interval, run_id: str) -> None:
    record_decision(
        context(settings, "training", interval, run_id=run_id),
        decision="accepted",
        reasons=[],
        mlflow_run_id="m",
        version=1,
        champion_before=None,
        metrics={},
        rows=100,
    )


def test_an_alarm_whose_training_breaks_is_announced_again_and_consumed_by_the_one_that_decides(
    settings,
):
    cause_id = alarm(settings, day(0))["extra"]["cause_id"]
    taken = collect(settings, day(0), "breaks", trigger="asset")["causes"]
    assert [cause["cause_id"] for cause in taken] == [cause_id]
    assert statuses(settings) == [("alarm", "taken")]
    assert alarm(settings, day(1), alarm=False)["announce"] is False  # its training is under way
    assert give_back(settings, PARCELS.name, "breaks") == 1
    again = alarm(settings, day(1), alarm=False)
    assert (again["announce"], again["extra"]["cause_id"]) == (True, cause_id)
    assert again["reason"] == "AUC is 0.6. (training breaks broke before it decided)"
    assert again["extra"]["interval"] == day(0).as_json()
    suppressed = alarm(settings, day(2))  # within the cool-down: the old alarm goes on
    assert (suppressed["announce"], suppressed["extra"]["cause_id"]) == (True, cause_id)
    taken = collect(settings, day(1), "decides", trigger="asset")["causes"]
    assert [cause["cause_id"] for cause in taken] == [cause_id]
    decide(settings, day(1), "decides")
    assert give_back(settings, PARCELS.name, "decides") == 0
    assert dict(statuses(settings)[:1]) == {"alarm": "consumed"}
    assert alarm(settings, day(3), alarm=False)["announce"] is False


def test_a_broken_run_that_is_cleared_decides_with_the_causes_that_it_gave_back(settings):
    alarm(settings, day(0))
    collect(settings, day(0), "cleared", trigger="asset")
    give_back(settings, PARCELS.name, "cleared")
    decide(settings, day(0), "cleared")
    assert statuses(settings) == [("alarm", "consumed")]
    of_run = causes_of_run(context(settings, "training", day(0), run_id="cleared"))
    assert [cause["kind"] for cause in of_run] == ["alarm"]


def test_what_a_person_or_a_schedule_asked_for_is_not_given_to_another_run(settings):
    collect(settings, day(0), "by_hand", trigger="manual", params={"reason": "new carrier"})
    assert give_back(settings, PARCELS.name, "by_hand") == 0
    assert collect(settings, day(1), "event", trigger="asset")["causes"] == []


def test_a_window_that_ends_beyond_the_data_counts_the_labels_that_came_after_them(settings):
    tables = TableStore(settings.tables_uri)
    mark_complete(tables, PARCELS.name, "ingest", day(0), {})
    decide(settings, day(4000), "beyond")
    assert read_decisions(PARCELS, settings)["data_until"].to_list() == [day(0).end]
    labels(settings, spread(day(1), 120))
    counted = new_data(settings, day(1))["extra"]["evidence"]
    assert (counted["rows"], counted["since"]) == (120, day(0).end.isoformat())
    mark_complete(tables, PARCELS.name, "ingest", day(1), {})
    decide(settings, day(1), "regular")  # newer data, an earlier end
    counted = new_data(settings, day(2))["extra"]["evidence"]
    assert (counted["rows"], counted["last_training"]) == (0, "regular")


def test_no_alarm_is_no_cause(settings):
    assert alarm(settings, day(0), alarm=False)["announce"] is False
    assert read_causes(settings, PARCELS.name) == []


def test_the_cool_down_is_measured_between_interval_ends(settings):
    assert [alarm(settings, day(number))["announce"] for number in (0, 3, 6, 7, 8, 14)] == [
        True,
        False,
        False,
        True,
        False,
        True,
    ]
    suppressed = [
        cause for cause in read_causes(settings, PARCELS.name) if cause.status == "suppressed"
    ]
    assert (
        suppressed[0].suppressed_because
        == "cool-down: 3.0 days of data since the last alarm that started a training, minimum 7.0"
    )


def test_a_back_fill_of_an_older_interval_is_within_the_cool_down_too(settings):
    assert alarm(settings, day(10))["announce"] is True
    assert alarm(settings, day(5))["announce"] is False


def test_at_most_so_many_alarms_of_one_day_start_trainings(settings):
    often = PARCELS.model_copy(
        update={
            "triggers": LIMITS.model_copy(
                update={"alarm_cool_down": timedelta(0), "alarms_per_day": 2}
            )
        }
    )
    hours = [
        Interval(day(0).start + timedelta(hours=hour), day(0).start + timedelta(hours=hour + 1))
        for hour in range(4)
    ]
    assert [alarm(settings, hour, use_case=often)["announce"] for hour in hours] == [
        True,
        True,
        False,
        False,
    ]
    assert "daily limit: 2 alarms of 2020-03-01" in str(
        read_causes(settings, PARCELS.name)[-1].suppressed_because
    )
    next_day = Interval(day(1).start, day(1).start + timedelta(hours=1))
    assert alarm(settings, next_day, use_case=often)["announce"] is True


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (
            {"missing": 0.9},
            "input load is missing, stale or unknown in 90% of the rows, 10% in the training data",
        ),
        ({"judged": False}, "drift could not be judged"),
        (
            {"complete": False},
            "features from 2020-03-01 00:00 to 2020-03-02 00:00 were refused or never computed",
        ),
    ],
)
def test_a_fault_of_the_data_never_retrains(settings, found, says):
    result = alarm(settings, day(0), **found)
    assert result["announce"] is False
    assert says in result["reason"]
    assert statuses(settings) == [("alarm", "suppressed")]
    # Nor does it use up the cool-down of a real alarm.
    assert alarm(settings, day(1))["announce"] is True


def test_the_same_run_again_keeps_its_decision_and_announces_only_what_is_pending(settings):
    assert alarm(settings, day(0)) == alarm(settings, day(0))
    collect(settings, day(0), "manual_1", trigger="manual", params={"reason": "look again"})
    again = alarm(settings, day(0))
    assert again["announce"] is False
    assert again["reason"] == "Training manual_1 has taken it."
    assert len(read_causes(settings, PARCELS.name)) == 2


def of_kinds(verdict: str, *retrain_on: str, alarm_on=("drift", "performance")):
    """The parcels with other kinds, and what monitoring decided of that verdict."""
    use_case = PARCELS.model_copy(
        update={
            "triggers": LIMITS.model_copy(update={"retrain_on": retrain_on}),
            "monitoring": PARCELS.monitoring.model_copy(update={"alarm_on": alarm_on}),
        }
    )
    decision = SimpleNamespace(alarm=True, verdict=verdict, reasons=["bad."], facts={})
    return use_case, decision


@pytest.mark.parametrize(
    ("verdict", "retrain_on", "starts"),
    [
        ("drift", ("performance",), False),
        ("drift+performance", ("performance",), True),
        ("performance", ("drift", "performance"), True),
        ("performance", (), False),
    ],
)
def test_only_the_declared_kinds_of_alarms_start_a_training(settings, verdict, retrain_on, starts):
    use_case, decision = of_kinds(verdict, *retrain_on)
    mark_complete(TableStore(settings.tables_uri), use_case.name, "features", day(0), {})
    drift = SimpleNamespace(judged=True, columns=[])
    run = context(settings, "monitoring", day(0), use_case=use_case)
    announced = propose_alarm(run, decision, drift, alarms=[7])
    assert announced.announce is starts
    if starts:
        (cause,) = read_causes(settings, PARCELS.name)
        assert cause.evidence["alarms"] == [7]
    else:
        assert f"the kind {verdict} start no training" in announced.reason


def test_a_kind_that_no_training_cures_cannot_be_declared():
    with pytest.raises(SpecError, match=r"(?s)retrain_on.*'drift'.*'performance'"):
        Triggers(retrain_on=("schema",))


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EAGER = PARCELS.model_copy(
    update={
        "triggers": LIMITS.model_copy(update={"alarm_cool_down": 0 * DAY, "alarms_per_day": 1000})
    }
)


def eager_alarm(settings, number: int, now: datetime) -> bool:
    mark_complete(TableStore(settings.tables_uri), PARCELS.name, "features", day(number), {})
    run = context(settings, "monitoring", day(number), use_case=EAGER)
    return propose_alarm(run, *verdict(), now=now).announce


def begin(settings, number: int, run_id: str, now: datetime, **run) -> int:
    at = context(settings, "training", day(number), run_id=run_id, **{"trigger": "asset", **run})
    return len(collect_causes(at, now=now).causes)


@pytest.mark.parametrize("trigger", ["asset", "manual", "scheduled"])
def test_no_alarm_starts_a_training_while_one_runs_whoever_started_it(settings, trigger):
    if trigger == "asset":
        eager_alarm(settings, 0, NOON)
    run = {"trigger": trigger, "params": {"reason": "new carrier"}}
    assert begin(settings, 0, "busy", NOON, **run) == 1
    assert eager_alarm(settings, 1, NOON + timedelta(minutes=5)) is False
    last = read_causes(settings, PARCELS.name)[-1]
    assert last.suppressed_because == (
        "training busy has run since 2026-03-01 12:00 UTC; its model has to be seen first"
    )
    decide(settings, day(0), "busy")
    assert eager_alarm(settings, 2, NOON + timedelta(minutes=6)) is True


def test_a_training_that_breaks_or_was_killed_without_a_word_does_not_run_for_ever(settings):
    eager_alarm(settings, 0, NOON)
    begin(settings, 0, "breaks", NOON)
    give_back(settings, PARCELS.name, "breaks")
    assert eager_alarm(settings, 1, NOON + timedelta(minutes=5)) is True
    begin(settings, 1, "killed", NOON + timedelta(minutes=6))
    assert eager_alarm(settings, 2, NOON + timedelta(hours=4)) is False
    assert eager_alarm(settings, 3, NOON + timedelta(hours=4, minutes=7)) is True


@pytest.mark.parametrize("limits", [LIMITS, EAGER.triggers], ids=["declared", "without limits"])
def test_fifty_alarms_in_a_minute_start_one_training(settings, limits):
    use_case = PARCELS.model_copy(update={"triggers": limits})
    mark_complete(TableStore(settings.tables_uri), PARCELS.name, "features", day(0), {})
    events, trained = [], []
    for number in range(50):
        run = context(settings, "monitoring", day(0), use_case=use_case, run_id=f"storm_{number}")
        now = NOON + timedelta(seconds=number)
        announced = propose_alarm(run, *verdict(), now=now)
        if announced.announce:
            events.append({"asset": "parcels/alarm", "extra": announced.extra})
        if number == 10:  # Airflow has begun a run for the events until then
            begun, events = tuple(events), []
            trained.append(begin(settings, 0, "first", now, causes=begun))
    trained.append(begin(settings, 0, "second", NOON + DAY, causes=tuple(events)))
    assert trained[0] >= 1
    assert trained[1:] == [0]  # whatever Airflow starts for the rest has nothing to do


def test_a_table_of_causes_from_before_is_read_and_goes_on(settings):
    eager_alarm(settings, 0, NOON)
    tables, name = TableStore(settings.tables_uri), "parcels/triggers"
    former = tables.read(name).drop("begun_at", "ended_at")
    shutil.rmtree(tables.uri(name))
    tables.replace_all(name, former)
    (cause,) = read_causes(settings, PARCELS.name)
    assert (cause.begun_at, cause.ended_at) == (None, None)
    assert begin(settings, 0, "first", NOON) == 1
    assert read_causes(settings, PARCELS.name)[0].begun_at == NOON


def labels(settings, known_at: list[datetime]) -> None:
    frame = pl.DataFrame(
        {
            "parcel_id": [f"p{n}" for n in range(len(known_at))],
            "known_at": known_at,
            "late": [0] * len(known_at),
        }
    )
    TableStore(settings.tables_uri).replace_all(
        "raw/deliveries", frame.with_columns(pl.col("known_at").cast(TIMESTAMP))
    )


def trained(settings, interval: Interval, rows: int | None) -> None:
    at = context(settings, "training", interval, run_id=f"training_{interval.label}")
    record_decision(
        at,
        decision="refused",
        reasons=[],
        mlflow_run_id="m",
        version=None,
        champion_before=None,
        metrics={},
        rows=rows,
    )


def new_data(settings, interval: Interval, **run) -> dict:
    return run_step(check_new_data, context(settings, "features", interval, **run))


def spread(interval: Interval, rows: int) -> list[datetime]:
    return [interval.start + number * (DAY / rows) for number in range(rows)]


def test_new_labels_start_a_training_when_rows_and_share_are_reached(settings):
    labels(
        settings, spread(day(0), 500) + spread(day(1), 99) + spread(day(2), 61) + spread(day(3), 40)
    )
    trained(settings, day(0), 320)
    assert new_data(settings, day(1))["announce"] is False
    assert new_data(settings, day(2))["announce"] is True
    (cause,) = read_causes(settings, PARCELS.name)
    assert (cause.kind, cause.status, cause.who) == ("new_data", "pending", "parcels__features")
    assert cause.evidence["rows"] == 160
    assert cause.evidence["share"] == 0.5
    assert cause.evidence["last_rows"] == 320
    assert cause.evidence["since"] == day(0).end.isoformat()
    # The rows that were announced are not counted again while their training is under way; the same
    # run announces again.
    assert new_data(settings, day(3))["announce"] is False
    assert new_data(settings, day(2))["announce"] is True
    assert len(read_causes(settings, PARCELS.name)) == 1


@pytest.mark.parametrize(("rows", "last_rows"), [(99, 100), (160, 321)])
def test_too_few_rows_or_too_small_a_share_start_nothing(settings, rows, last_rows):
    labels(settings, spread(day(0), 500) + spread(day(1), rows))
    trained(settings, day(0), last_rows)
    assert new_data(settings, day(1))["announce"] is False
    assert read_causes(settings, PARCELS.name) == []


def test_a_label_that_is_known_only_later_does_not_count(settings):
    labels(settings, spread(day(1), 90) + spread(day(2), 90))
    trained(settings, day(0), 100)
    assert new_data(settings, day(1))["extra"]["evidence"]["rows"] == 90


def test_without_something_to_compare_with_nothing_starts_by_itself(settings):
    labels(settings, spread(day(0), 500) + spread(day(1), 500))
    assert "start the first one by hand" in new_data(settings, day(1))["reason"]
    trained(settings, day(0), None)
    assert "recorded no number of rows" in new_data(settings, day(1))["reason"]
    assert read_causes(settings, PARCELS.name) == []


def test_a_run_takes_every_pending_cause_and_all_are_kept(settings):
    alarm(settings, day(0))
    labels(settings, spread(day(1), 200))
    trained(settings, day(0), 100)
    new_data(settings, day(1))
    taken = collect(
        settings,
        day(1),
        "manual_1",
        trigger="manual",
        triggered_by="ada",
        params={"reason": "new carrier", "trials": 3},
    )
    assert [cause["kind"] for cause in taken["causes"]] == ["alarm", "new_data", "manual"]
    manual = taken["causes"][-1]
    assert (manual["reason"], manual["who"], manual["evidence"]["parameters"]["trials"]) == (
        "new carrier",
        "ada",
        3,
    )
    assert {cause.consumed_by for cause in read_causes(settings, PARCELS.name)} == {"manual_1"}
    at = context(settings, "training", day(1), run_id="manual_1", trigger="manual")
    record_decision(
        at,
        decision="refused",
        reasons=[],
        mlflow_run_id="m",
        version=None,
        champion_before=None,
        metrics={},
        rows=10,
    )
    row = (
        read_decisions(PARCELS, settings).filter(pl.col("run_id") == "manual_1").row(0, named=True)
    )
    assert json.loads(row["causes_json"]) == taken["causes"] == causes_of_run(at)
    assert (
        collect(settings, day(1), "manual_1", trigger="manual", params={"reason": "new carrier"})
        == taken
    )


def test_a_cause_beyond_the_runs_window_waits_for_its_own_run(settings):
    alarm(settings, day(5))
    taken = collect(
        settings, day(1), "manual_1", trigger="manual", params={"reason": "an older window"}
    )
    assert [cause["kind"] for cause in taken["causes"]] == ["manual"]
    assert ("alarm", "pending") in statuses(settings)


def test_a_run_whose_cause_was_taken_has_nothing_to_do(settings):
    event = {"asset": "parcels/alarm", "extra": alarm(settings, day(0))["extra"]}
    collect(settings, day(0), "manual_1", trigger="manual", params={"reason": "at once"})
    assert collect(settings, day(0), "asset_1", trigger="asset", causes=(event,)) == {
        "causes": [],
        "taken_by": ["manual_1"],
    }


def test_a_collapsed_event_loses_no_cause(settings):
    alarm(settings, day(0))
    event = {"asset": "parcels/alarm", "extra": alarm(settings, day(8))["extra"]}
    taken = collect(settings, day(8), "asset_1", trigger="asset", causes=(event,))
    assert [cause["interval"]["start"] for cause in taken["causes"]] == [
        day(0).start.isoformat(),
        day(8).start.isoformat(),
    ]


def test_an_event_posted_past_our_operators_is_kept_as_what_it_is(settings):
    event = {"asset": "parcels/alarm", "source_run_id": None, "extra": {"from": "curl"}}
    (cause,) = collect(settings, day(0), "asset_1", trigger="asset", causes=(event,))["causes"]
    assert (cause["kind"], cause["who"], cause["evidence"]) == (
        "event",
        "posted to Airflow's API",
        {"extra": {"from": "curl"}},
    )


def test_a_schedule_is_a_cause(settings):
    daily = PARCELS.model_copy(
        update={"schedule": PARCELS.schedule.model_copy(update={"training_cron": "@daily"})}
    )
    (cause,) = collect(settings, day(0), "scheduled_1", use_case=daily)["causes"]
    assert (cause["kind"], cause["who"], cause["evidence"]["cron"]) == (
        "schedule",
        "the schedule",
        "@daily",
    )


@pytest.mark.parametrize("reason", [None, "", "  ", "x"])
def test_a_person_must_give_a_reason(settings, reason):
    with pytest.raises(SpecError, match="without a reason"):
        collect(
            settings,
            day(0),
            "manual_1",
            trigger="manual",
            triggered_by="ada",
            params={"reason": reason},
        )
    assert read_causes(settings, PARCELS.name) == []


def race(folder: str, name: str, gate) -> None:
    settings = load_settings({"FLIGHTDECK_ENV": "test", "FLIGHTDECK_HOME": folder})
    gate.wait(300)
    for number in range(5):
        at = replace(
            context(settings, "training", day(40)),
            run=RunInfo("training", f"{name}_{number}", "asset"),
        )
        run_step(collect_causes, at)


def test_runs_at_the_same_time_never_share_a_cause_and_lose_none(settings, tmp_path):
    causes = [
        Cause(f"new_data:{number}", "new_data", "enough", "features", day(number))
        for number in range(30)
    ]
    spawn = multiprocessing.get_context("spawn")
    gate = spawn.Barrier(3)
    runs = [
        spawn.Process(target=race, args=(str(tmp_path), name, gate)) for name in ("left", "right")
    ]

    def add(cause: Cause) -> None:
        amend(settings, PARCELS.name, lambda kept: [*kept, cause])

    # One is there before the race, for whoever is first, and one comes after it, for the last run.
    add(causes[0])
    for run in runs:
        run.start()
    gate.wait(300)
    for cause in causes[1:-1]:
        add(cause)
    for run in runs:
        run.join(300)
        assert run.exitcode == 0
    add(causes[-1])
    run_step(
        collect_causes,
        replace(context(settings, "training", day(40)), run=RunInfo("training", "last", "asset")),
        {},
    )
    after = read_causes(settings, PARCELS.name)
    assert [cause.cause_id for cause in after] == [cause.cause_id for cause in causes]
    assert {cause.status for cause in after} == {"taken"}
    # Every version of the table: a cause, once taken, keeps its run.
    tables = TableStore(settings.tables_uri)
    owners: dict[str, set[str]] = {}
    for version in range(tables.version("parcels/triggers") + 1):
        for row in tables.read(
            "parcels/triggers", version=version, where=pl.col("consumed_by").is_not_null()
        ).to_dicts():
            owners.setdefault(row["cause_id"], set()).add(row["consumed_by"])
    assert all(len(names) == 1 for names in owners.values())
    assert len(set().union(*owners.values())) > 1
