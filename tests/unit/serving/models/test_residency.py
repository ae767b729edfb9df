"""With more use cases than models may be loaded, the others stand by: they are loaded when they are
asked, checked as ever, and what is said of them is true.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from include.errors import ServingError
from include.features.store import apply_definitions
from include.release.copies import copies_folder
from include.release.followers import this_process
from include.release.model_store import version_folder, withdraw
from include.release.plan import PlannedArm, read_plan, write_plan_by_hand
from include.settings import Settings
from serving.contract.errors import NotLoadedError, UnanswerableError
from serving.contract.metrics import LOAD_SECONDS, LOADED, UNLOADED, VERSION
from serving.contract.question import Question
from serving.engine import runtime as engine
from serving.engine.runtime import Runtime, RuntimeHolder
from serving.http.application import Application
from serving.models import packages, slots
from serving.models.reporter import follower_of
from serving.models.residency import Residency
from serving.models.slots import ModelSlot
from serving.models.status import status_of
from serving.router.router import PlanRouter
from tests.unit.serving.models.many import CASES, NAMES, ROW, deploy, remember, settings_of

T = TypeVar("T")
A, B, C = NAMES
WAIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def served_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an endpoint that has served three use cases."""
    home = tmp_path_factory.mktemp("many") / "home"
    settings = settings_of(home, loaded=2)
    for name in NAMES:
        remember(settings, name, deploy(settings, name))
    apply_definitions(settings)
    return home


@pytest.fixture
def settings(served_before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of it, of which two models may be loaded; nothing is left alone after a failure."""
    shutil.copytree(served_before, tmp_path / "home")
    monkeypatch.setattr(slots, "RETRY_SECONDS", 0.0)
    return settings_of(tmp_path / "home", loaded=2)


@dataclass(frozen=True)
class Process:
    """The slots of a serving process without the threads that watch."""

    slots: dict[str, ModelSlot]
    residency: Residency
    router: PlanRouter

    def ask(self, name: str) -> None:
        """Ask as the batcher does, and wait for the model where it is not loaded."""
        question = Question(name, [ROW])
        try:
            self.router.pick(question)
        except NotLoadedError:
            self.residency.load(name).result(WAIT_SECONDS)
            self.router.pick(question)

    def settle(self) -> None:
        """What the watching thread does every moment."""
        for slot in self.slots.values():
            slot.refresh()
        self.residency.settle(lambda: False)

    @property
    def loaded(self) -> list[str]:
        """The use cases whose models are loaded."""
        return [name for name, slot in self.slots.items() if slot.traffic is not None]


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[[int], Process]]:
    """Starts a process that may keep so many models."""
    started: list[Process] = []

    def begin(most: int) -> Process:
        mapping = {name: ModelSlot(settings, case) for name, case in CASES.items()}
        process = Process(mapping, Residency(mapping, most), PlanRouter(mapping))
        started.append(process)
        process.residency.start()
        for slot in mapping.values():
            slot.restore(standing_by=process.residency.has_too_many)
        process.settle()
        return process

    yield begin
    for process in started:
        process.residency.stop()


def state(slot: ModelSlot) -> str:
    return status_of(slot, features_ready=True).loading


def damage(settings: Settings, name: str) -> dict[Path, bytes]:
    """Damage the package and its copy; the whole files."""
    folders = (version_folder(settings, name, 1), *copies_folder(settings, name).glob("*"))
    whole = {folder / "model.ubj": (folder / "model.ubj").read_bytes() for folder in folders}
    for path, content in whole.items():
        path.chmod(0o600)
        path.write_bytes(content[:-10])
    return whole


def test_as_many_as_may_be_are_loaded_at_start_and_the_others_are_ready(
    start: Callable[[int], Process],
) -> None:
    all_of_them = start(3)
    assert all_of_them.loaded == [A, B, C]
    process = start(2)
    assert process.loaded == [A, B]
    loaded, ready = (status_of(process.slots[name], features_ready=True) for name in (A, C))
    assert (loaded.loading, ready.loading) == ("loaded", "ready")
    assert (ready.version, ready.run_id, ready.last_error) == (1, "run-1", None)
    assert ready.digest is not None
    assert ready.plan is not None
    assert [arm.version for arm in ready.plan.arms] == [1]
    assert (loaded.since is None, ready.since, ready.plan.arms[0].since) == (False, None, None)
    assert [LOADED.labels(name)._value.get() for name in NAMES] == [1, 1, 0]
    assert VERSION.labels(C)._value.get() == 1
    assert process.slots[C].answers


def test_what_is_asked_is_loaded_and_what_was_asked_longest_ago_is_let_go(
    start: Callable[[int], Process],
) -> None:
    process = start(2)
    process.ask(B)
    process.settle()
    process.ask(A)
    process.settle()
    gone = weakref.ref(process.slots[B].serving)
    let_go = UNLOADED.labels(B)._value.get()
    process.ask(C)
    process.settle()
    assert process.loaded == [A, C]
    assert gone() is None
    assert UNLOADED.labels(B)._value.get() == let_go + 1
    process.ask(B)
    process.settle()
    assert process.loaded == [B, C]


def test_what_is_asked_all_the_time_stays(start: Callable[[int], Process]) -> None:
    process = start(2)
    served = process.slots[A].served()
    for name in (C, B, C, B):
        process.ask(A)
        process.ask(name)
        process.settle()
    assert process.slots[A].served() is served


def test_a_rollout_stays_loaded_whole(
    start: Callable[[int], Process], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "try_in_child", lambda *_: None)
    plan = read_plan(settings, A)
    assert plan is not None
    second = deploy(settings, A, version=2)
    (champion,) = plan.arms
    arms = (
        champion.model_copy(update={"share": 0.5}),
        PlannedArm(role="challenger", version=2, digest=second, share=0.5),
    )
    write_plan_by_hand(settings, A, arms)
    process = start(2)
    assert process.loaded == [A]
    for name in (B, C):
        process.ask(name)
        process.settle()
        assert process.loaded == [A, name]
    assert process.slots[A].versions == [1, 2]
    write_plan_by_hand(settings, A, (champion,))
    process.settle()
    process.ask(C)
    process.settle()
    process.ask(B)
    process.settle()
    assert process.loaded == [B, C]


def test_a_package_that_was_damaged_while_it_stood_by_does_not_answer_and_says_why(
    start: Callable[[int], Process], settings: Settings
) -> None:
    process = start(2)
    whole = damage(settings, C)
    with pytest.raises(UnanswerableError, match="DigestMismatch") as refused:
        process.residency.load(C).result(WAIT_SECONDS)
    assert (refused.value.status, refused.value.code) == (503, "model_not_loaded")
    assert refused.value.retry_after
    slot = process.slots[C]
    assert (state(slot), slot.answers) == ("failed", False)
    assert "DigestMismatch" in (slot.problem or "")
    assert follower_of(slot, settings, this_process()).sequence is None
    assert process.loaded == [A, B]
    for path, content in whole.items():
        path.write_bytes(content)
    process.ask(C)
    assert (state(slot), slot.problem) == ("loaded", None)


def test_the_copy_is_loaded_where_the_model_store_is_away(
    start: Callable[[int], Process], settings: Settings
) -> None:
    process = start(2)
    shutil.rmtree(version_folder(settings, C, 1))
    process.ask(C)
    assert C in process.loaded


def test_a_new_version_takes_the_place_only_when_it_was_tried_and_the_last_one_answers_meanwhile(
    start: Callable[[int], Process], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(2)
    answering: list[list[int]] = []

    def refuse(*_: object) -> None:
        answering.append(process.slots[C].versions if process.slots[C].traffic else [])
        raise ServingError("it did not pass")

    monkeypatch.setattr(packages, "try_in_child", refuse)
    deploy(settings, C, version=2)
    process.settle()
    slot = process.slots[C]
    assert answering[0] == [1]
    assert slot.versions == [1]
    assert "it did not pass" in (slot.last_error or "")
    monkeypatch.setattr(packages, "try_in_child", lambda *_: None)
    process.settle()
    assert (slot.versions, slot.last_error) == ([2], None)
    for name in (A, B):
        process.ask(name)
        process.settle()
    assert (state(slot), slot.versions) == ("ready", [2])
    report = follower_of(slot, settings, this_process())
    assert [version for version, _ in report.versions] == [2]


def test_a_version_that_was_never_tried_is_not_said_to_answer(
    start: Callable[[int], Process], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(packages, "try_in_child", lambda name, *_: tried.append(name))
    for name in (B, C):
        shutil.rmtree(copies_folder(settings, name).parent / "last_good")
        (copies_folder(settings, name).parent / "last_good.json").unlink()
    mapping = {name: ModelSlot(settings, case) for name, case in CASES.items()}
    for slot in mapping.values():
        slot.restore(standing_by=True)
    untried = mapping[C]
    assert (state(untried), untried.answers, untried.versions) == ("untried", False, [])
    assert follower_of(untried, settings, this_process()).sequence is None
    assert tried == []
    residency = Residency(mapping, 1)
    residency.settle(lambda: False)
    residency.settle(lambda: False)
    assert tried == [B, C]
    assert [state(slot) for slot in mapping.values()] == ["loaded", "ready", "ready"]
    assert follower_of(untried, settings, this_process()).sequence is not None


def test_a_use_case_that_stands_by_can_be_withdrawn(
    start: Callable[[int], Process], settings: Settings
) -> None:
    process = start(2)
    withdraw(settings, C)
    process.settle()
    slot = process.slots[C]
    assert (state(slot), slot.in_service) == ("none", False)
    with pytest.raises(UnanswerableError, match="in service") as refused:
        process.ask(C)
    assert refused.value.code == "no_model"


@pytest.fixture
def running(settings: Settings) -> Iterator[Runtime]:
    """All of a serving process but its sockets."""
    runtime = Runtime(settings, CASES)
    runtime.start()
    until = threading.Event()
    for _ in range(150):
        models = runtime.models().models
        loaded = [model.loading for model in models if model.features_ready]
        if sorted(loaded) == ["loaded", "loaded", "ready"]:
            break
        until.wait(0.1)
    yield runtime
    runtime.stop()


def through_routes(runtime: Runtime, ask: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    async def run() -> T:
        holder = RuntimeHolder()
        holder.runtime = runtime
        transport = httpx.ASGITransport(app=Application(holder))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await ask(client)

    return asyncio.run(run())


def loads_of(use_case: str) -> float:
    """How often its model was loaded because somebody asked."""
    (metric,) = LOAD_SECONDS.collect()
    return sum(
        sample.value
        for sample in metric.samples
        if sample.name.endswith("_count") and sample.labels["use_case"] == use_case
    )


def stands_by(runtime: Runtime) -> str:
    return next(name for name, slot in runtime.watcher.slots.items() if slot.stands_by)


def test_all_that_ask_at_once_wait_for_one_load_and_are_answered(running: Runtime) -> None:
    name = stands_by(running)

    async def ask(client: httpx.AsyncClient) -> list[httpx.Response]:
        path = f"/v1/models/{name}/predict"
        return await asyncio.gather(
            *(client.post(path, json={"rows": [ROW]}) for _ in range(20)),
            client.post(f"/v1/models/{name}/check"),
            client.post(f"/v1/models/{name}/explain", json={"rows": [ROW]}),
        )

    before = loads_of(name)
    answers = through_routes(running, ask)
    assert [answer.status_code for answer in answers] == [200] * 22
    assert len({answer.json()["predictions"][0]["probability"] for answer in answers[:20]}) == 1
    assert loads_of(name) == before + 1


def test_who_waits_too_long_is_told_when_to_come_back_and_the_load_goes_on(
    running: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = stands_by(running)
    go_on, wake = threading.Event(), running.watcher.slots[name].wake

    def slow() -> None:
        go_on.wait(WAIT_SECONDS)
        wake()

    monkeypatch.setattr(running.watcher.slots[name], "wake", slow)
    monkeypatch.setattr(engine, "ANSWER_SECONDS", engine.SCORING_SECONDS + 0.1)
    other = next(one for one in NAMES if one != name and running.watcher.slots[one].traffic)

    async def ask(client: httpx.AsyncClient) -> tuple[httpx.Response, ...]:
        first, beside = await asyncio.gather(
            *(
                client.post(f"/v1/models/{one}/predict", json={"rows": [ROW]})
                for one in (name, other)
            )
        )
        go_on.set()
        monkeypatch.setattr(engine, "ANSWER_SECONDS", WAIT_SECONDS)
        return first, beside, await client.post(f"/v1/models/{name}/predict", json={"rows": [ROW]})

    first, beside, second = through_routes(running, ask)
    assert (first.status_code, first.json()["error"]["code"]) == (503, "model_loading")
    assert int(first.headers["retry-after"]) >= 1
    assert beside.status_code == 200
    assert second.status_code == 200


def test_pages_and_protocols_say_of_what_stands_by_that_it_can_be_asked_and_load_nothing(
    running: Runtime,
) -> None:
    name = stands_by(running)

    async def look(client: httpx.AsyncClient) -> list[httpx.Response]:
        paths = ("/", f"/v1/models/{name}", "/docs.json", f"/v2/models/{name}/ready", "/v1/models")
        return [await client.get(path) for path in paths]

    page, about, document, ready, models = through_routes(running, look)
    assert "ready, loaded when it is asked" in page.text
    assert about.json()["model"]["estimator"] == "xgboost"
    assert about.json()["model"]["explainable"] is True
    assert about.json()["status"]["loading"] == "ready"
    assert document.status_code == 200
    assert ready.json() == {"name": name, "ready": True}
    states = {model["use_case"]: model["loading"] for model in models.json()["models"]}
    assert sorted(states.values()) == ["loaded", "loaded", "ready"]
    assert running.watcher.slots[name].stands_by
