"""A drill whose fault does not take place says so: each is run with its fault taken out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.release.model_store import set_desired
from proofs.faults import serving_clients, serving_kills, serving_models, serving_stores
from proofs.faults.line import Line
from proofs.faults.serving import _attempt, _settings
from proofs.harness.endpoint import USE_CASE, Endpoint
from proofs.harness.world import World, build_world

pytestmark = pytest.mark.slow

Drill = Callable[[Endpoint, World], Line]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = build_world(_settings(tmp_path_factory.mktemp("disarmed")))
    set_desired(world.settings, USE_CASE, 1, world.digests[1])
    return world


@pytest.fixture(scope="module")
def endpoint(world: World) -> Iterator[Endpoint]:
    with Endpoint(world.settings) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_stores, "_locked_out", lambda *_: nullcontext())


def no_renaming(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_stores, "_renamed", lambda *_: nullcontext())
    monkeypatch.setattr(Path, "rename", lambda *_: None)


def no_filling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_stores, "_no_space", lambda *_: nullcontext())
    # It waits for the first refusal, which does not come.
    monkeypatch.setattr(serving_stores, "FIRST_SECONDS", 3.0)


def no_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil.Process, "kill", lambda _: None)
    monkeypatch.setattr(serving_kills, "DEATH_SECONDS", 0.5)


def no_slowness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_clients, "SLOW_SECONDS", 0.0)


DRILLS: list[tuple[Drill, Callable[[pytest.MonkeyPatch], None]]] = [
    (partial(serving_stores.lock_online_store, seconds=0.5), no_lock),
    (serving_stores.remove_online_store, no_renaming),
    (partial(serving_stores.fill_log_disk, what="a limit"), no_filling),
    (partial(serving_kills.kill_one_worker, kills=1), no_kill),
    (partial(serving_clients.slow_loris, connections=4), no_slowness),
]


@pytest.mark.parametrize(("drill", "disarm"), DRILLS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_drill_without_its_fault_does_not_hold(
    drill: Drill,
    disarm: Callable[[pytest.MonkeyPatch], None],
    endpoint: Endpoint,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        disarm(patch)
        line = _attempt(partial(drill, endpoint, world), endpoint)
    assert not line.holds, line


def test_a_package_that_is_not_damaged_does_not_pass_for_a_damaged_one(
    endpoint: Endpoint, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_damaged(*_: Any) -> str:
        return world.digests[2]

    monkeypatch.setattr(serving_models, "REFUSAL_SECONDS", 5.0)
    line = _attempt(
        lambda: serving_models.swap_in(
            endpoint, world, "truncated", not_damaged, "DigestMismatch", version=31
        ),
        endpoint,
    )
    assert not line.holds, line
