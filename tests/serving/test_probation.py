"""A slot of the endpoint without the endpoint: trials in a child process, and what serves when the
model store is away.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.release.copies import copy_of
from include.release.model_store import publish, set_desired, version_folder, withdraw
from include.release.plan import former_path, last_good_path
from include.settings import Settings
from proofs.harness.damage.packages import crashing_package
from proofs.harness.home import home_settings
from proofs.harness.world import World
from serving.models.slots import ModelSlot

pytestmark = pytest.mark.slow
NAME = "flight_delays"


@pytest.fixture
def slot(world: World) -> Iterator[ModelSlot]:
    """Version 1 serves."""
    set_desired(world.settings, NAME, 1, world.digests[1])
    slot = ModelSlot(world.settings, world.use_case)
    slot.restore()
    yield slot
    set_desired(world.settings, NAME, 1, world.digests[1])


def serving(slot: ModelSlot) -> int | None:
    return None if slot.serving is None else slot.serving.version


def test_a_model_that_kills_its_process_kills_only_the_child(slot: ModelSlot, world: World) -> None:
    folder = version_folder(world.settings, NAME, 8)
    set_desired(
        world.settings, NAME, 8, crashing_package(world.settings, world.packages[2], folder)
    )
    slot.refresh()
    assert "died of SIGSEGV" in (slot.last_error or "")
    assert serving(slot) == 1
    set_desired(world.settings, NAME, 2, world.digests[2])
    slot.refresh()
    assert (serving(slot), slot.last_error) == (2, None)


def test_what_stands_by_counts_only_when_a_child_has_tried_it(
    slot: ModelSlot, world: World
) -> None:
    """As at the first start of a home with more use cases than models may be loaded."""
    record = last_good_path(world.settings, NAME)
    record.unlink()
    good = ModelSlot(world.settings, world.use_case)
    good.restore(standing_by=True)
    assert (good.stands_by, good.answers) == (True, False)
    assert good.try_standing()
    assert (good.stands_by, good.answers, good.load_error) == (True, True, None)
    good.wake()
    assert serving(good) == 1
    record.unlink()
    folder = version_folder(world.settings, NAME, 9)
    digest = crashing_package(world.settings, world.packages[2], folder)
    set_desired(world.settings, NAME, 9, digest)
    bad = ModelSlot(world.settings, world.use_case)
    bad.restore(standing_by=True)
    assert bad.try_standing()
    assert (bad.stands_by, bad.answers, bad.versions) == (True, False, [])
    assert "died of SIGSEGV" in (bad.problem or "")


def test_the_last_good_version_serves_after_a_start_without_the_model_store(
    slot: ModelSlot, world: World
) -> None:
    models = world.settings.serving_dir / "models"
    away = models.rename(models.with_name("away"))
    try:
        again = ModelSlot(world.settings, world.use_case)
        again.restore()
        assert serving(again) == 1
        # The copy is checked like any other package.
        copy = copy_of(world.settings, NAME, 1, world.digests[1])
        assert copy is not None
        content = (copy / "transform.json").read_bytes()
        (copy / "transform.json").write_bytes(content + b" ")
        refused = ModelSlot(world.settings, world.use_case)
        refused.restore()
        assert serving(refused) is None
        assert refused.last_error is not None
    finally:
        away.rename(models)
    refused.refresh()  # not yet time to try again: nothing changes
    assert serving(refused) is None
    restored = ModelSlot(world.settings, world.use_case)
    restored.restore()
    assert serving(restored) == 1
    assert (copy / "transform.json").read_bytes() == content


def test_a_withdrawn_model_does_not_come_back_at_the_next_start(
    slot: ModelSlot, world: World
) -> None:
    withdraw(world.settings, NAME)
    slot.refresh()
    assert serving(slot) is None
    again = ModelSlot(world.settings, world.use_case)
    again.restore()
    assert serving(again) is None


def former_state(settings: Settings, version: int, digest: str) -> None:
    """What a home from before the plans says that it serves."""
    folder = version_folder(settings, NAME, version)
    state = {"version": version, "digest": digest, "folder": str(folder)}
    former_path(settings, NAME).parent.mkdir(parents=True, exist_ok=True)
    former_path(settings, NAME).write_text(json.dumps(state))


def test_a_home_from_before_the_plans_serves_on_and_no_number_is_made_up_there(
    world: World, tmp_path: Path
) -> None:
    old, digest = home_settings(tmp_path / "old"), world.digests[1]
    shutil.copytree(world.settings.keys_dir, old.keys_dir)
    folder = version_folder(old, NAME, 1)
    shutil.copytree(world.packages[1], folder)
    assert not (folder / "release.json").exists()
    former_state(old, 1, digest)
    slot = ModelSlot(old, world.use_case)
    slot.restore()
    assert (serving(slot), slot.last_error) == (1, None)
    away = folder.rename(folder.with_name("away"))
    restarted = ModelSlot(old, world.use_case)
    restarted.restore()
    assert serving(restarted) == 1
    away.rename(folder)
    # Published once more, it says its number, which no state and no plan can change.
    publish(old, NAME, world.packages[1], 1, digest)
    copied = version_folder(old, NAME, 99)
    shutil.copytree(folder, copied)
    former_state(old, 99, digest)
    slot.refresh()
    assert "published as version 1" in (slot.last_error or "")
    former_state(old, -5, digest)
    slot.refresh()
    assert "does not hold version and digest" in (slot.last_error or "")
    assert serving(slot) == 1
    # The first plan ends what the former state says.
    set_desired(old, NAME, 1, digest)
    slot.refresh()
    assert (serving(slot), slot.last_error) == (1, None)
    former_state(old, 99, digest)
    slot.refresh()
    assert (serving(slot), slot.last_error) == (1, None)
