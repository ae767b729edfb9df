"""Swaps under load, bad versions, kills and a log that takes no rows: nothing answered is lost, and
the last good version stays.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import time
from typing import Any

import psutil
import pytest

from include.inference_log.log import spool_path
from include.model.package import load_model
from include.release.model_store import set_desired, version_folder
from include.release.plan import PlannedArm, plan_path, write_plan_by_hand
from include.tables.store import TableStore
from proofs.harness.endpoint import Endpoint
from proofs.harness.logged import logged_ids
from proofs.harness.traffic import Traffic
from proofs.harness.world import World

pytestmark = pytest.mark.slow


def test_versions_swap_while_requests_flow_and_every_answer_is_logged_once(
    endpoint: Endpoint, world: World
) -> None:
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        for version in (2, 1, 2, 1):
            traffic.wait_for(30)
            set_desired(world.settings, "flight_delays", version, world.digests[version])
            endpoint.wait_for_version(version)
        traffic.wait_for(30)
    assert traffic.errors == {}
    assert traffic.versions == [1, 2]
    ids = traffic.answered
    logged = logged_ids(world.settings)
    assert len(logged) == len(set(logged))
    assert set(ids) <= set(logged)
    assert len(ids) == len(set(ids)) == len(traffic.answers)
    _one_object_scored_each(world, traffic.answers)


def _one_object_scored_each(world: World, answers: list[dict[str, Any]]) -> None:
    """Each answer is exactly what the version that it names gives for the logged features."""
    table = TableStore(world.settings.tables_uri).read("flight_delays/inference_log")
    for version in (1, 2):
        model = load_model(world.packages[version])
        rows = table.filter(model_version=version)
        assert rows.height > 0
        scores = model.score_frame(rows)
        assert abs(scores - rows["score"].to_numpy()).max() < 1e-6
    assert len(answers) > 0


def test_a_version_that_cannot_be_loaded_leaves_the_old_one(
    endpoint: Endpoint, world: World
) -> None:
    folder = version_folder(world.settings, "flight_delays", 9)
    shutil.copytree(world.packages[2], folder)
    content = (folder / "model.ubj").read_bytes()
    (folder / "model.ubj").write_bytes(content[: len(content) // 2])
    set_desired(world.settings, "flight_delays", 9, world.digests[2])
    _wait_for_error(endpoint, "DigestMismatch")
    unsigned = version_folder(world.settings, "flight_delays", 10)
    shutil.copytree(world.packages[2], unsigned)
    (unsigned / "signature.json").unlink()
    set_desired(world.settings, "flight_delays", 10, world.digests[2])
    _wait_for_error(endpoint, "SignatureError")
    shutil.rmtree(unsigned)
    set_desired(world.settings, "flight_delays", 9, world.digests[2])
    _wait_for_error(endpoint, "DigestMismatch")
    status = endpoint.model()
    assert (status["version"], status["desired_version"]) == (1, 9)
    assert endpoint.predict(world.rows[:1]).json()["model_version"] == 1
    assert endpoint.client.get("/readyz").status_code == 200
    plan_path(world.settings, "flight_delays").write_text("{")
    _wait_for_error(endpoint, "ServingError")
    assert endpoint.predict(world.rows[:1]).status_code == 200
    shutil.rmtree(folder)


def _wait_for_error(endpoint: Endpoint, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in (endpoint.model()["last_error"] or ""):
        assert time.monotonic() < deadline, endpoint.model()
        time.sleep(0.05)


def test_while_the_log_takes_no_rows_nothing_is_answered(endpoint: Endpoint, world: World) -> None:
    before = len(logged_ids(world.settings))
    worker = endpoint.worker()
    worker.rlimit(
        psutil.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY)
    )  # as if the disk were full: the kernel refuses every write
    try:
        answer = endpoint.predict(world.rows[:1])
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unavailable")
        assert endpoint.client.get("/healthz").status_code == 200
        assert endpoint.client.get("/readyz").status_code == 503
    finally:
        worker.rlimit(psutil.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert len(logged_ids(world.settings)) == before
    endpoint.wait_for("/readyz")
    assert endpoint.predict(world.rows[:1]).status_code == 200


def test_a_locked_spool_stops_requests_with_an_id_and_no_others(
    endpoint: Endpoint, world: World
) -> None:
    path, body = "/v1/models/flight_delays/predict", {"rows": world.rows[:1]}
    lock = sqlite3.connect(spool_path(world.settings), isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        kept = endpoint.client.post(path, json=body, headers={"X-Request-Id": "while-it-is-locked"})
        assert (kept.status_code, kept.json()["error"]["code"]) == (503, "log_unavailable")
        assert endpoint.client.get("/readyz").status_code == 503
        answer = endpoint.predict(world.rows[:1])
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    assert answer.status_code == 200
    endpoint.wait_for("/readyz")
    assert answer.json()["predictions"][0]["prediction_id"] in logged_ids(world.settings)


@pytest.mark.parametrize("kept", ["its own segment", "all of its journal"])
def test_rows_of_a_killed_endpoint_are_shipped_and_its_segments_removed(
    endpoint: Endpoint, world: World, kept: str
) -> None:
    answered = [endpoint.predict(world.rows[:3]).json()["predictions"] for _ in range(5)]
    if kept == "its own segment":
        logged_ids(world.settings)
    endpoint.kill()
    ids = {prediction["prediction_id"] for predictions in answered for prediction in predictions}
    logged = logged_ids(world.settings)
    assert ids <= set(logged)
    assert len(logged) == len(set(logged))
    assert list(spool_path(world.settings).parent.glob("journal/*/flight_delays/*.log")) == []
    endpoint.start()
    endpoint.wait_for("/readyz")


def test_after_a_kill_every_answer_is_logged_and_the_last_good_version_serves_again(
    endpoint: Endpoint, world: World
) -> None:
    with Traffic(endpoint.url, world.rows, retries=False).flowing() as traffic:
        traffic.wait_for(60)
        endpoint.kill()
        # What is desired now cannot be loaded: the restart must fall back to the last version that
        # served.
        champion = PlannedArm(role="champion", version=7, digest="0", share=1.0)
        write_plan_by_hand(world.settings, "flight_delays", (champion,))
        endpoint.start()
        endpoint.wait_for("/readyz")
        traffic.wait_for(20)
    status = endpoint.model()
    assert (status["version"], status["desired_version"]) == (1, 7)
    assert "RegistryError" in status["last_error"]
    ids = traffic.answered
    logged = logged_ids(world.settings)
    assert len(logged) == len(set(logged))
    assert set(ids) <= set(logged)


def test_a_request_with_an_id_is_answered_alike_and_logged_once(
    endpoint: Endpoint, world: World
) -> None:
    path, headers = "/v1/models/flight_delays/predict", {"X-Request-Id": "booking-4711"}
    body = {"rows": world.rows[:2]}
    first = endpoint.client.post(path, json=body, headers=headers)
    set_desired(world.settings, "flight_delays", 2, world.digests[2])
    endpoint.wait_for_version(2)
    again = endpoint.client.post(path, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.content == first.content  # though another version serves by now
    ids = [prediction["prediction_id"] for prediction in first.json()["predictions"]]
    assert [name for name in logged_ids(world.settings) if name in ids] == ids
    other = endpoint.client.post(path, json={"rows": world.rows[2:3]}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "request_id_reused")
    malformed = endpoint.client.post(path, json=body, headers={"X-Request-Id": "not an id"})
    assert (malformed.status_code, malformed.json()["error"]["code"]) == (400, "invalid_request_id")
