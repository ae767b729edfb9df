"""A step in a pod: result, refusal, error, and an end from outside, through the provider's operator
against an API server whose pods are real processes.
"""

from __future__ import annotations

import gc
import json
import re
import threading
import time
from datetime import UTC, datetime

import pytest

from include.errors import DataError, PodLost
from include.processes import features
from include.settings import load_settings
from include.settings.pods import pods_of
from include.step_documents import step_document
from include.steps import short_name
from plugins.operators.gate import GateOperator
from plugins.operators.pod import pod_operator
from plugins.operators.step import ENDED, StepOperator
from plugins.pod_request import PodCall
from plugins.refusal import FINAL, Refusal
from tests.unit.plugins import pod_steps
from tests.unit.plugins.cluster import running_cluster
from tests.unit.plugins.pod_settings import LEDGER, pod_variables, pods_file
from tests.unit.plugins.task_context import task_context

pytestmark = [
    pytest.mark.slow,  # each pod is a process that imports the step
    # Kubernetes' client leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

FEBRUARY = (datetime(2013, 2, 8, tzinfo=UTC), datetime(2013, 2, 15, tzinfo=UTC))
STEPS = pod_steps.__name__


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
    # While the warnings of this module are filtered.
    gc.collect()


@pytest.fixture
def cluster(shared_cluster, tmp_path, monkeypatch):
    shared_cluster.secrets = {"FLIGHTDECK_LEDGER_URL": f"sqlite:///{tmp_path}/ledger.db"}
    shared_cluster.secrets["FLIGHTDECK_ONLINE_STORE"] = "sqlite"
    for values in (shared_cluster.requested, shared_cluster.deleted, shared_cluster.fates):
        values.clear()
    for name, value in pod_variables(tmp_path, pods_file(tmp_path)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(
        "AIRFLOW_CONN_TEST_CLUSTER",
        json.dumps(
            {"conn_type": "kubernetes", "extra": {"kube_config": shared_cluster.kube_config()}}
        ),
    )
    return shared_cluster


def operator(step: str, kind: type[StepOperator] = StepOperator, **more) -> StepOperator:
    return kind(
        task_id="work",
        step=step if ":" in step else f"{STEPS}:{step}",
        use_case="flight_delays",
        process="features",
        **more,
    )


def context_of(**more):
    context = task_context(window=FEBRUARY, run_id="run_1", **more)
    context["ti"].dag_id, context["ti"].map_index = "flight_delays__features", -1
    return context


def test_a_result_comes_back_typed_with_the_log_and_the_pod_is_deleted(cluster, capsys):
    context = context_of()
    result = operator("count").execute(context)
    assert result == {
        "rows": 3,
        "share": 0.1,
        "ledger": cluster.secrets["FLIGHTDECK_LEDGER_URL"],
        "try_number": 2,
    }
    printed = capsys.readouterr().out
    assert "three rows counted" in printed, "the pod's log is streamed to the task's"
    assert len(cluster.deleted) == 1
    assert "return_value" not in context["ti"].pushed, "Airflow pushes what is returned"
    password = LEDGER.split(":")[2].split("@")[0]
    everything = json.dumps([cluster.requested, context["ti"].pushed], default=str) + printed
    assert password not in everything, "a password stands neither in the pod, nor in XCom or log"


def test_a_step_of_a_process_runs_in_a_pod_as_it_runs_in_the_worker(cluster, monkeypatch):
    task = operator("include.processes.features:ingest_source")
    in_pod = task.execute(context_of())
    monkeypatch.setenv("FLIGHTDECK_TARGET", "process")
    assert in_pod == task.execute(context_of())
    assert in_pod["tables"]["raw/flights"]["rows"] > 0
    assert len(cluster.requested) == 1
    assert load_settings().target == "process"
    assert (
        features.ingest_source.__name__ in cluster.requested[0]["spec"]["containers"][0]["args"][0]
    )


def test_a_refusal_is_pushed_with_its_reasons_and_ends_the_task_for_good(cluster):
    context = context_of()
    with pytest.raises(Refusal) as refused:
        operator("refuse", GateOperator).execute(context)
    assert refused.value.reasons == ("the mean is 9 $(HOME)", "the share is 1")
    assert context["ti"].pushed["return_value"]["accepted"] is False
    assert len(cluster.deleted) == 1


def test_an_error_comes_back_as_its_own_class_and_is_retried(cluster):
    with pytest.raises(DataError, match="no row of March") as failed:
        operator("lack_data").execute(context_of())
    decision = FINAL.evaluate(exception=failed.value, try_number=1, max_tries=2, context=None)
    assert decision.action.value == "default"


@pytest.mark.parametrize(
    ("step", "message"),
    [("come_late", "Newer data were written"), ("find_a_broken_ledger", "it ends with row 3")],
)
def test_what_only_a_person_can_mend_is_refused_at_once(cluster, step, message):
    with pytest.raises(Refusal, match=message):
        operator(step).execute(context_of())


def test_a_bug_leaves_its_traceback_in_the_log_and_is_retried(cluster, capsys):
    with pytest.raises(PodLost, match=r"exit code 1.*ZeroDivisionError: a bug"):
        operator("fail_by_a_bug").execute(context_of())
    assert "Traceback" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fate", "message"),
    [
        ("oom_killed", r"more memory than it may \(2Gi\).*raise `memory`"),
        ("killed", "killed by SIGKILL"),
        ("evicted", r"evicted from its node \(The node was low on resource: memory"),
        ("deleted", "is gone before its step had ended"),
    ],
)
def test_a_pod_that_is_ended_from_outside_is_named_so_and_tried_again(cluster, fate, message):
    cluster.fates.append(fate)
    with pytest.raises(PodLost, match=message) as lost:
        operator("count").execute(context_of())
    decision = FINAL.evaluate(exception=lost.value, try_number=1, max_tries=2, context=None)
    assert decision.action.value == "default"
    if fate == "evicted":
        assert operator("count").execute(context_of())["rows"] == 3, "the next try has its own pod"


def test_a_task_that_is_ended_ends_its_pod(cluster):
    task = operator("take_long")

    def end_it():
        while not cluster.requested:
            time.sleep(0.05)
        time.sleep(0.5)
        pod = next(iter(cluster.pods.values()))
        with pytest.raises(SystemExit, match=re.escape(ENDED)):
            task.on_kill()
        assert pod.process.wait(10) != 0

    thread = threading.Thread(target=end_it)
    thread.start()
    with pytest.raises(PodLost, match="is gone"):
        task.execute(context_of())
    thread.join()
    assert len(cluster.deleted) == 1


def test_a_try_whose_worker_died_is_found_again_and_not_run_twice(cluster):
    task, context = operator("count"), context_of()
    step_context = task.context_of(context)
    document = step_document(step_context, {})
    call = PodCall("flight_delays", "features", short_name(pod_steps.count), document)
    template = pods_of(load_settings()).template(task.use_case, call.step)
    died = pod_operator(call, template, step_context, None)
    died.pod_manager.create_pod(died.build_pod_request_obj(context))
    context["ti"].try_number = 3
    assert task.execute(context)["try_number"] == 2
    assert len(cluster.requested) == 1


def test_one_task_calls_two_steps_in_two_pods(cluster):
    context = context_of()
    task = operator("refuse")
    assert task.execute(context)["accepted"] is False
    task.step = f"{STEPS}:accept"
    assert task.execute(context) == {"accepted": True, "reasons": []}
    labels = [pod["metadata"]["labels"] for pod in cluster.requested]
    assert labels[0]["flightdeck-call"] != labels[1]["flightdeck-call"]
    assert labels[0]["task_id"] == labels[1]["task_id"]


def test_a_step_that_the_file_leaves_in_the_worker_starts_no_pod(cluster, tmp_path, monkeypatch):
    path = pods_file(tmp_path, f'[steps."{STEPS}:accept"]\ntarget = "process"')
    monkeypatch.setenv("FLIGHTDECK_PODS_FILE", str(path))
    assert operator("accept").execute(context_of())["accepted"] is True
    assert cluster.requested == []
