"""Traffic on the endpoint itself: two replicas on two ports over one model store follow the same
plan, and every row finds its arm.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import numpy as np
import psutil
import pytest
import tritonclient.grpc as triton_grpc

from include.errors import ReleaseError
from include.inference_log.log import shadow_id
from include.release.followers import Follower, live_followers, wait_until_followed
from include.release.model_store import publish, set_desired, version_folder, withdraw
from include.release.plan import Plan, PlannedArm, plan_path, write_plan
from include.settings import Settings
from proofs.harness.damage.packages import change_model, flipped
from proofs.harness.endpoint import GRPC_PORT, USE_CASE, Endpoint
from proofs.harness.home import home_settings
from proofs.harness.logged import logged_rows
from proofs.harness.ports import free_port
from proofs.harness.world import World, build_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLS is deprecated:DeprecationWarning"),
]
SECONDS = 60.0
ROWS = 60
ARM_FIELDS = ("role", "version", "digest", "share")
SEQUENCE = count(1)


@pytest.fixture(scope="module")
def split_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world of its own: its plans are numbered."""
    world = build_world(home_settings(tmp_path_factory.mktemp("traffic") / "home", share=0.15))
    publish(world.settings, USE_CASE, world.packages[2], 3, world.digests[2])
    return world


@pytest.fixture(scope="module")
def replicas(split_world: World) -> Iterator[list[Endpoint]]:
    """Two endpoints over one home, the first with gRPC."""
    set_desired(split_world.settings, USE_CASE, 1, split_world.digests[1])
    with (
        Endpoint(split_world.settings, changes={GRPC_PORT: str(free_port())}) as first,
        Endpoint(split_world.settings) as second,
    ):
        for endpoint in (first, second):
            endpoint.wait_for("/readyz")
        yield [first, second]


def plan_of(world: World, share: float, *, shadow: int | None = None, **changes: Any) -> Plan:
    """Version 1 is the champion, version 2 the challenger with a share; none for 0."""
    arms = [PlannedArm(role="champion", version=1, digest=world.digests[1], share=1.0 - share)]
    if share:
        arms.append(PlannedArm(role="challenger", version=2, digest=world.digests[2], share=share))
    fields: dict[str, Any] = {
        "use_case": USE_CASE,
        "sequence": next(SEQUENCE),
        "arms": tuple(arms),
        "shadow": None
        if shadow is None
        else PlannedArm(
            role="shadow", version=shadow, digest=world.digests[min(shadow, 2)], share=0.0
        ),
        "unit": ("tailnum", "dest"),
        "salt": "split",
        "decided_by": "0" * 64,
    }
    return Plan(**(fields | changes))


def follow(settings: Settings, plan: Plan) -> list[Follower]:
    write_plan(settings, plan)
    return wait_until_followed(settings, plan, seconds=SECONDS)


def versions(endpoint: Endpoint, world: World) -> list[int]:
    """The version that answers each row, asked alone."""
    answers = [endpoint.predict([row]).raise_for_status().json() for row in world.rows[:ROWS]]
    return [answer["model_version"] for answer in answers]


def eventually(look: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_error(endpoint: Endpoint, text: str) -> None:
    eventually(lambda: text in (endpoint.model()["last_error"] or ""))


def test_every_replica_follows_a_plan_and_says_so(
    replicas: list[Endpoint], split_world: World
) -> None:
    settings, plan = split_world.settings, plan_of(split_world, 0.25)
    followers = follow(settings, plan)
    assert sorted(one.port for one in followers) == sorted(one.port for one in replicas)
    digests = split_world.digests
    for endpoint in replicas:
        status = endpoint.model()
        assert (status["version"], status["last_error"]) == (1, None)
        in_force = status["plan"]
        assert (in_force["sequence"], in_force["decided_by"]) == (plan.sequence, plan.decided_by)
        assert [
            (arm["role"], arm["version"], arm["digest"], arm["share"]) for arm in in_force["arms"]
        ] == [
            ("champion", 1, digests[1], 0.75),
            ("challenger", 2, digests[2], 0.25),
        ]
    started = time.monotonic()
    follow(settings, plan_of(split_world, 0.5))
    assert time.monotonic() - started < 2.0  # a second, and the tests' busy machine
    unpublished = plan_of(split_world, 0.0).arms[0].model_copy(update={"version": 44})
    missing = plan_of(split_world, 0.0, arms=(unpublished,))
    write_plan(settings, missing)
    with pytest.raises(ReleaseError, match=r"2 of 2 processes do not: .*RegistryError"):
        wait_until_followed(settings, missing, seconds=3.0)
    assert {one.port for one in live_followers(settings, USE_CASE)} == {
        endpoint.port for endpoint in replicas
    }
    assert set(versions(replicas[0], split_world)) == {1, 2}  # the plan before stays in force


def test_a_unit_keeps_its_arm_over_replicas_restarts_and_a_rising_share(
    replicas: list[Endpoint], split_world: World
) -> None:
    first, second = replicas
    plan = plan_of(split_world, 0.3)
    follow(split_world.settings, plan)
    before = versions(first, split_world)
    assert set(before) == {1, 2}
    assert versions(second, split_world) == before
    second.kill()
    second.start()
    second.wait_for("/readyz")
    wait_until_followed(split_world.settings, plan, seconds=SECONDS)
    assert versions(second, split_world) == before
    risen = plan_of(split_world, 0.6)
    follow(split_world.settings, risen)
    after = versions(second, split_world)
    assert all(new == 2 for old, new in zip(before, after, strict=True) if old == 2)
    assert after.count(2) > before.count(2)
    rows = logged_rows(split_world.settings).filter(plan=risen.sequence)
    assert sorted(rows.select("arm", "model_version", "model_digest").unique().rows()) == [
        ("challenger", 2, split_world.digests[2]),
        ("champion", 1, split_world.digests[1]),
    ]
    assert rows["fallback"].null_count() == rows.height == ROWS


def test_the_rows_of_one_request_are_answered_by_their_own_arms(
    replicas: list[Endpoint], split_world: World
) -> None:
    endpoint, rows = replicas[0], split_world.rows[:ROWS]
    follow(split_world.settings, plan_of(split_world, 0.5))
    alone = [endpoint.predict([row]).json() for row in rows]
    expected = [answer["model_version"] for answer in alone]
    assert set(expected) == {1, 2}
    scores = [answer["predictions"][0]["probability"] for answer in alone]
    together = endpoint.predict(rows).json()
    assert together["model_version"] is None
    assert [row["model_version"] for row in together["predictions"]] == expected
    assert [row["probability"] for row in together["predictions"]] == pytest.approx(
        scores, abs=1e-9
    )
    same = [row for row, version in zip(rows, expected, strict=True) if version == 2]
    answer = endpoint.predict(same).json()
    assert answer["model_version"] == 2
    assert "model_version" not in answer["predictions"][0]

    columns = {
        name: [row.get(name) or "" for row in rows]
        for name in ("carrier", "origin", "dest", "tailnum", "scheduled_departure", "asked_at")
    }
    inputs = [
        {"name": name, "shape": [len(rows)], "datatype": "BYTES", "data": values}
        for name, values in columns.items()
    ]
    path = f"/v2/models/{USE_CASE}"
    document = endpoint.client.post(f"{path}/infer", json={"inputs": inputs}).json()
    outputs = {output["name"]: output["data"] for output in document["outputs"]}
    assert "model_version" not in document
    assert outputs["model_version"] == expected
    assert outputs["probability"] == pytest.approx(scores, abs=1e-9)
    assert endpoint.client.get(path).json()["versions"] == ["1", "2"]
    one = endpoint.client.post(f"{path}/versions/2/infer", json={"inputs": inputs}).json()
    assert one["model_version"] == "2"

    tensors = []
    for name, values in columns.items():
        tensor = triton_grpc.InferInput(name, [len(values)], "BYTES")
        tensor.set_data_from_numpy(np.array(values, dtype=np.object_))
        tensors.append(tensor)
    with triton_grpc.InferenceServerClient(endpoint.grpc_address) as client:
        inferred = client.infer(USE_CASE, tensors)
        assert inferred.as_numpy("model_version").tolist() == expected
        assert inferred.as_numpy("probability").tolist() == pytest.approx(scores, abs=1e-9)
        assert inferred.get_response().model_version == ""
    time.sleep(1.5)  # times are added once a second
    metrics = endpoint.client.get("/metrics").text
    for arm, version in (("champion", 1), ("challenger", 2)):
        assert (
            f'flightdeck_arm_seconds_count{{arm="{arm}",use_case="{USE_CASE}",version="{version}"}}'
            in metrics
        )


def test_no_plan_gives_a_package_another_number_and_none_comes_back(
    replicas: list[Endpoint], split_world: World
) -> None:
    settings, path = split_world.settings, plan_path(split_world.settings, USE_CASE)
    follow(settings, plan_of(split_world, 0.0))
    former = path.read_bytes()
    copied = version_folder(settings, USE_CASE, 99)
    shutil.copytree(version_folder(settings, USE_CASE, 2), copied)
    wrong = PlannedArm(role="champion", version=99, digest=split_world.digests[2], share=1.0)
    write_plan(settings, plan_of(split_world, 0.0, arms=(wrong,)))
    for endpoint in replicas:
        eventually(
            lambda one=endpoint: "published as version 2" in (one.model()["last_error"] or "")
        )
        assert endpoint.predict(split_world.rows[:1]).json()["model_version"] == 1
    follow(settings, plan_of(split_world, 0.5))
    path.write_bytes(former)
    for endpoint in replicas:
        wait_for_error(endpoint, "is older than plan")
    assert set(versions(replicas[0], split_world)) == {1, 2}
    shutil.rmtree(copied)
    path.unlink()  # a missing file changes nothing
    follow(settings, plan_of(split_world, 0.5))


def test_all_arms_and_the_plan_before_outlive_the_model_store_and_a_restart(
    replicas: list[Endpoint], split_world: World
) -> None:
    settings, endpoint = split_world.settings, replicas[1]
    follow(settings, plan_of(split_world, 0.5))
    expected = versions(endpoint, split_world)
    models = settings.serving_dir / "models"
    away = models.rename(models.with_name("away"))
    try:
        path = plan_path(settings, USE_CASE)
        written = path.read_bytes()
        path.write_text("{")
        endpoint.kill()
        endpoint.start()
        endpoint.wait_for("/readyz")
        assert versions(endpoint, split_world) == expected
        path.write_bytes(written)
        # Back to the champion alone, and on to the challenger alone, by the copies.
        for number in (1, 2, 1):
            arm = PlannedArm(
                role="champion", version=number, digest=split_world.digests[number], share=1.0
            )
            follow(settings, plan_of(split_world, 0.0, arms=(arm,)))
            assert set(versions(endpoint, split_world)) == {number}
    finally:
        away.rename(models)
    # The package of the plan before is damaged in the store: the copy stands in for it.
    change_model(version_folder(settings, USE_CASE, 2), flipped)
    arm = PlannedArm(role="champion", version=2, digest=split_world.digests[2], share=1.0)
    follow(settings, plan_of(split_world, 0.0, arms=(arm,)))
    assert set(versions(endpoint, split_world)) == {2}
    publish(settings, USE_CASE, split_world.packages[2], 2, split_world.digests[2])


def children(endpoint: Endpoint) -> list[psutil.Process]:
    found = []
    for process in endpoint.processes():
        with suppress(psutil.Error):
            if "serving.models.shadow_process" in process.cmdline():
                found.append(process)
    return found


def test_a_shadow_scores_what_was_answered_and_no_caller_meets_its_end(
    replicas: list[Endpoint], split_world: World
) -> None:
    settings, endpoint = split_world.settings, replicas[1]
    plan = plan_of(split_world, 0.0, shadow=3)
    follow(settings, plan)
    assert endpoint.model()["plan"]["shadow"]["version"] == 3
    answers = [endpoint.predict([row]).json() for row in split_world.rows[:ROWS]]
    assert {answer["model_version"] for answer in answers} == {1}
    ids = [answer["predictions"][0]["prediction_id"] for answer in answers]

    def shadows() -> Any:
        return logged_rows(settings).filter(arm="shadow", plan=plan.sequence)

    eventually(lambda: shadows().height == ROWS)
    rows = shadows()
    assert set(rows["prediction_id"]) == {shadow_id(name) for name in ids}
    assert rows.select("model_version", "model_digest").unique().rows() == [
        (3, split_world.digests[2])
    ]
    (child,) = children(endpoint)
    assert child.nice() == 19
    assert child.rlimit(psutil.RLIMIT_DATA)[0] < 4 << 30
    child.send_signal(signal.SIGSTOP)  # as slow as can be
    for row in split_world.rows[:ROWS]:
        assert endpoint.predict([row]).status_code == 200
    child.kill()
    eventually(lambda: endpoint.model()["plan"]["shadow"]["error"] is not None)
    assert endpoint.predict(split_world.rows[:1]).json()["model_version"] == 1
    assert endpoint.model()["plan"]["shadow"]["dropped_rows"] > 0
    follow(settings, plan_of(split_world, 0.0))
    eventually(lambda: not children(endpoint))


def test_a_plan_without_arms_withdraws_the_use_case_everywhere(
    replicas: list[Endpoint], split_world: World
) -> None:
    withdraw(split_world.settings, USE_CASE)
    for endpoint in replicas:
        endpoint.wait_for_version(None)
        assert endpoint.predict(split_world.rows[:1]).json()["error"]["code"] == "no_model"
    follow(split_world.settings, plan_of(split_world, 0.0))
    for endpoint in replicas:
        assert endpoint.predict(split_world.rows[:1]).json()["model_version"] == 1
    replicas[0].stop()
    eventually(lambda: len(live_followers(split_world.settings, USE_CASE)) == 1)
