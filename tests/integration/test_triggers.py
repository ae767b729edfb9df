"""Each trigger fires the wired training DAG, and the run, MLflow and our tables say why; a
suppressed alarm starts nothing.
"""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from cli.demo.replay import Replay
from cli.demo.state import DemoState
from include.interval import Interval
from include.registry.client import connect
from include.settings import PROJECT_ROOT, load_settings
from include.spec import Schedule
from include.started_by import sentence_of
from include.triggers.causes import Cause, amend, read_causes
from include.triggers.decisions import read_decisions
from include.triggers.policy import collect_causes
from include.use_cases.flight_delays import spec
from plugins.run_context import step_context
from proofs.harness.dag_runs import result_of
from tests.integration.dag_runs import DagRunResult, asset_events, month, run_dag
from tests.step_runs import run_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        "ignore:.*type hint is inferred as AnyType:UserWarning"
    ),  # mlflow's own import
]

TRAINING = "flight_delays__training"
USE_CASE = spec.USE_CASE
APRIL = Interval(month(4), month(5))


def declare(monkeypatch, **parts: Any) -> None:
    """The use case as the DAG files and the steps read it, with other parts."""
    quick = USE_CASE.training.model_copy(update={"trials": 1, "boost_rounds": 60})
    monkeypatch.setattr(spec, "USE_CASE", USE_CASE.model_copy(update={"training": quick, **parts}))


def stored_dag(dag_id: str):
    """The DAG as the scheduler reads it from the database, after the DAG files were read again."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.serialized_dag import SerializedDagModel

    DagBundlesManager().sync_bundles_to_db()
    bag = BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags[dag_id], SerializedDagModel.get_dag(dag_id)


def execute(monkeypatch, create) -> DagRunResult:
    """Let `create(dag, session)` make a run as the scheduler would, and run its tasks with
    Airflow's own runner.
    """
    from airflow.utils.state import DagRunState

    dag, stored = stored_dag(TRAINING)

    def existing(*, dag, session, **_: Any):
        run = create(stored, session)
        run.dag = stored
        stored.on_failure_callback = dag.on_failure_callback
        run.state = DagRunState.RUNNING
        session.commit()
        return run

    with monkeypatch.context() as patch:
        patch.setattr("airflow.models.dagrun.get_or_create_dagrun", existing)
        return result_of(dag.test(logical_date=None))


def by_timetable(stored, session):
    """The scheduled run of the interval that the DAG's own timetable gives for March."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    (info,) = stored.iter_dagrun_infos_between(month(3), month(3))
    return stored.create_dagrun(
        run_id=DagRun.generate_run_id(
            run_type=DagRunType.SCHEDULED, logical_date=info.logical_date, run_after=info.run_after
        ),
        logical_date=info.logical_date,
        data_interval=info.data_interval,
        run_after=info.run_after,
        run_type=DagRunType.SCHEDULED,
        triggered_by=DagRunTriggeredByType.TIMETABLE,
        state="queued",
        session=session,
    )


def by_asset_events(stored, session):
    """The one run that Airflow's scheduler makes of all queued asset events."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.types import DagRunType
    from sqlalchemy import select

    runner = SchedulerJobRunner(Job(), executors=[])
    runner._create_dag_runs_asset_triggered(
        dag_models=[DagModel.get_current(TRAINING, session=session)], session=session
    )
    session.flush()
    asset_runs = (DagRun.dag_id == TRAINING, DagRun.run_type == DagRunType.ASSET_TRIGGERED)
    return session.scalars(
        select(DagRun).where(*asset_runs).order_by(DagRun.run_after.desc())
    ).first()


def decision_of(run: DagRunResult, settings) -> dict[str, Any]:
    return (
        read_decisions(USE_CASE, settings).filter(pl.col("run_id") == run.run_id).row(0, named=True)
    )


def assert_recorded_everywhere(
    run: DagRunResult, settings, kinds: list[str]
) -> list[dict[str, Any]]:
    """Airflow's result of the first task, MLflow's tag and artefact, and our ledger hold the same
    causes.
    """
    causes = run.results["open_run"]["causes"]
    assert [cause["kind"] for cause in causes] == kinds
    tracked = connect(settings).get_run(run.results["open_run"]["mlflow_run_id"])
    assert json.loads(tracked.data.tags["flightdeck.causes"]) == causes
    assert tracked.data.tags["flightdeck.cause_kinds"] == "+".join(sorted(kinds))
    sentences = [sentence_of(cause) for cause in causes]
    assert tracked.data.tags["flightdeck.started_by"] == "; ".join(sentences)
    assert f"Why it ran: {'; '.join(sentences)}" in run.note
    assert json.loads(decision_of(run, settings)["causes_json"]) == causes
    consumed = [
        cause for cause in read_causes(settings, "flight_delays") if cause.consumed_by == run.run_id
    ]
    assert [cause.as_json() for cause in consumed] == causes
    assert all(cause["reason"] and cause["who"] and cause["evidence"] for cause in causes)
    return causes


def test_a_person_starts_a_training_with_a_reason_and_parameters(first_training, settings):
    (cause,) = assert_recorded_everywhere(first_training, settings, ["manual"])
    assert (cause["reason"], cause["who"]) == ("first champion", "dag_test")
    assert cause["evidence"]["parameters"] == {
        "until": "2013-04-01",
        "reason": "first champion",
        "trials": 2,
    }
    assert (
        decision_of(first_training, settings)["rows"]
        == first_training.results["build_snapshot"]["snapshot"]["rows"]
    )


def test_a_person_without_a_reason_is_refused_before_anything_is_recorded(first_training, settings):
    before = read_causes(settings, "flight_delays")
    run = run_dag(TRAINING, None, {"until": "2013-04-01"})
    assert run.state == "failed"
    assert run.tasks.pop("open_run") == "failed"
    assert set(run.tasks.values()) == {"upstream_failed"}
    assert read_causes(settings, "flight_delays") == before


def test_parameters_are_typed(first_training):
    from airflow.sdk.exceptions import ParamValidationError

    for wrong in ({"trials": "many"}, {"trials": 0}, {"reason": 7}):
        with pytest.raises((ParamValidationError, ValueError), match=next(iter(wrong))):
            run_dag(TRAINING, None, {"until": "2013-04-01", "reason": "typed", **wrong})


def test_the_schedule_starts_a_training_on_its_data_interval(first_training, settings, monkeypatch):
    declare(
        monkeypatch,
        schedule=Schedule(**{**USE_CASE.schedule.model_dump(), "training_cron": "@monthly"}),
    )
    run = execute(monkeypatch, by_timetable)
    (cause,) = assert_recorded_everywhere(run, settings, ["schedule"])
    assert run.run_id.startswith("scheduled__2013-04-01")
    assert cause["interval"] == {"start": month(3).isoformat(), "end": month(4).isoformat()}
    assert cause["evidence"]["cron"] == "@monthly"
    decision = decision_of(run, settings)
    assert (decision["trigger"], decision["interval_end"]) == ("scheduled", month(4))


def test_an_alarm_and_new_data_start_one_training_that_keeps_both(
    scored_april, settings, monkeypatch
):
    if not any(cause.kind == "alarm" for cause in read_causes(settings, "flight_delays")):
        announced = run_dag("flight_delays__monitoring", month(5))
        assert announced.tasks["raise_alarm"] == "success"
    before = asset_events("flight_delays/new_data")
    quiet = run_dag("flight_delays__features", month(5))
    assert quiet.tasks["check_new_data"] == "success"
    assert asset_events("flight_delays/new_data") == before
    assert "check_new_data" not in quiet.task_notes
    declare(
        monkeypatch,
        triggers=USE_CASE.triggers.model_copy(update={"new_rows": 500, "new_share": 0.2}),
    )
    loud = run_dag("flight_delays__features", month(5))
    (event,) = asset_events("flight_delays/new_data")[len(before) :]
    assert event["run"] == loud.run_id
    assert loud.task_notes["check_new_data"].startswith("**New labels.** ")
    run = execute(monkeypatch, by_asset_events)
    alarm, new_data = assert_recorded_everywhere(run, settings, ["alarm", "new_data"])
    assert alarm["evidence"]["verdict"] == "performance"
    assert alarm["source_dag_id"] == "flight_delays__monitoring"
    assert new_data["source_run_id"] == loud.run_id
    evidence = new_data["evidence"]
    assert evidence["rows"] >= 500
    assert evidence["share"] == evidence["rows"] / evidence["last_rows"] >= 0.2
    decision = decision_of(run, settings)
    assert (decision["trigger"], decision["interval_end"]) == ("asset", month(5))
    assert {cause.status for cause in read_causes(settings, "flight_delays")} == {"consumed"}


def test_a_second_alarm_of_the_same_data_is_suppressed_and_the_replay_says_so(
    scored_april, settings, monkeypatch
):
    if not any(cause.kind == "alarm" for cause in read_causes(settings, "flight_delays")):
        run_dag("flight_delays__monitoring", month(5))
    shortened = USE_CASE.triggers.model_copy(
        update={"alarms_per_day": 5, "alarm_cool_down": timedelta(days=20)}
    )
    declare(monkeypatch, triggers=shortened)
    before = asset_events("flight_delays/alarm")
    run = run_dag("flight_delays__monitoring", month(5))
    assert run.results["decide_alarm"]["alarm"] is True
    assert run.tasks["raise_alarm"] == "success"
    assert asset_events("flight_delays/alarm") == before
    reason = (
        "cool-down: 0.0 days of data since the last alarm that started a training, minimum 20.0"
    )
    assert run.results["raise_alarm"]["reason"] == f"Suppressed: {reason}."
    assert run.note.startswith("**Alarm.** ")
    assert f"Suppressed: {reason}." in run.note
    assert run.task_notes == {"raise_alarm": f"**Alarm.** Suppressed: {reason}."}
    kept = read_causes(settings, "flight_delays")[-1]
    assert (kept.source_run_id, kept.status, kept.suppressed_because) == (
        run.run_id,
        "suppressed",
        reason,
    )
    said: list[str] = []
    replay = Replay(USE_CASE, settings, None, DemoState(), said.append, lambda: None)
    assert replay.follow_alarm(APRIL, run.run_id) == f"suppressed: {reason}"
    assert said == [f"April: alarm (performance), suppressed: {reason}"]


def test_a_quiet_month_is_a_plain_success_without_an_event_and_the_graph_still_draws_the_loop(
    scored_april, settings, monkeypatch
):
    calm = {"max_auc_drop": 0.5, "max_calibration_gap": 0.9}
    declare(monkeypatch, monitoring=USE_CASE.monitoring.model_copy(update=calm))
    before = asset_events("flight_delays/alarm")
    run = run_dag("flight_delays__monitoring", month(5))
    assert run.results["decide_alarm"]["alarm"] is False
    assert set(run.tasks.values()) == {"success"}
    assert run.results["raise_alarm"]["announce"] is False
    assert asset_events("flight_delays/alarm") == before
    assert run.note.startswith("**Done.** No alarm.")
    assert run.task_notes == {}
    stored_dag(TRAINING)
    assert {
        ("dag:flight_delays__monitoring", "flight_delays/alarm"),
        ("flight_delays/alarm", "dag:flight_delays__training"),
        ("dag:flight_delays__features", "flight_delays/new_data"),
        ("flight_delays/new_data", "dag:flight_delays__training"),
    } <= drawn_edges()


def drawn_edges() -> set[tuple[str, str]]:
    """What Airflow's asset graph connects, assets by their names."""
    from airflow.api_fastapi.core_api.services.ui.dependencies import get_scheduling_dependencies

    graph = get_scheduling_dependencies()
    names = {
        node["id"]: node["label"] if node["type"] == "asset" else node["id"]
        for node in graph["nodes"]
    }
    return {(names[edge["source_id"]], names[edge["target_id"]]) for edge in graph["edges"]}


def test_a_run_whose_events_airflow_dropped_reads_its_interval_from_our_table(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("FLIGHTDECK_HOME", str(tmp_path))
    settings = load_settings()
    waiting = [
        Cause(
            f"alarm:{number}",
            "alarm",
            "decayed",
            "monitoring",
            Interval(month(number), month(number + 1)),
        )
        for number in (4, 6)
    ]
    amend(settings, "flight_delays", lambda causes: [*causes, *waiting])
    named = {
        "run_id": "asset_1",
        "triggering_user_name": None,
        "consumed_asset_events": [],
        "run_after": month(8),
    }
    dag_run = SimpleNamespace(
        run_type=SimpleNamespace(value="asset_triggered"),
        data_interval_start=None,
        data_interval_end=None,
        **named,
    )
    context = {"dag_run": dag_run, "params": {}, "ti": SimpleNamespace(try_number=1)}
    step = step_context(context, "flight_delays", "training")
    assert step.interval == waiting[1].interval
    assert len(run_step(collect_causes, step)["causes"]) == 2
    later = Cause("alarm:9", "alarm", "decayed", "monitoring", Interval(month(9), month(10)))
    amend(settings, "flight_delays", lambda causes: [*causes, later])
    assert step_context(context, "flight_delays", "training").interval == waiting[1].interval
