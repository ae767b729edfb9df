"""An endpoint on a host of its own: it has addresses and a public key, and nothing else in common
with the host that releases.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from include.features.online.store import materialise
from include.features.store import apply_definitions
from include.files import write
from include.model.signing import public_key
from include.object_storage import ObjectStore
from include.release.followers import live_followers, wait_until_followed
from include.release.model_store import publish, set_desired
from include.release.plan import PlannedArm, read_plan, write_plan_by_hand
from include.release.shared.objects import package_name
from include.settings import Settings, load_settings
from proofs.harness.endpoint import Endpoint
from proofs.harness.object_store import ObjectStoreServer
from proofs.harness.store_servers import RedisServer
from proofs.harness.world import INTERVAL, World

pytestmark = pytest.mark.slow
NAME = "flight_delays"


@dataclass
class Far:
    """The storage, the host that releases, and an endpoint elsewhere."""

    storage: ObjectStoreServer
    releasing: Settings
    endpoint: Endpoint


@pytest.fixture
def far(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    with ObjectStoreServer() as storage, RedisServer() as features:
        for name, value in storage.variables.items():
            monkeypatch.setenv(name, value)
        tables = Path(world.settings.tables_uri)
        lake = ObjectStore(f"{storage.url}/tables")
        for file in (tables / "features").rglob("*"):
            if file.is_file():
                lake.write(file.relative_to(tables).as_posix(), file.read_bytes())
        shared = {"models_uri": f"{storage.url}/models"}
        releasing = world.settings.model_copy(update=shared)
        variables = {
            "ENV": "test",
            "HOME": str(tmp_path / "far"),
            "MODELS_URI": shared["models_uri"],
            "TABLES_URI": str(lake.place),
            "ONLINE_STORE": features.url,
        }
        settings = load_settings(
            {
                **storage.variables,
                **{f"FLIGHTDECK_{name}": value for name, value in variables.items()},
            }
        )
        write(settings.keys_dir / "signing.pub.pem", public_key(releasing).read_bytes())
        apply_definitions(settings)
        materialise(world.use_case, settings, INTERVAL.end)
        with Endpoint(settings) as endpoint:
            yield Far(storage, releasing, endpoint)


def test_an_endpoint_elsewhere_follows_releases_and_serves_on_while_the_storage_is_away(
    far: Far, world: World, endpoint: Endpoint
) -> None:
    elsewhere = far.endpoint
    for version in (1, 2):
        publish(far.releasing, NAME, world.packages[version], version, world.digests[version])
    set_desired(far.releasing, NAME, 1, world.digests[1])
    elsewhere.wait_for_version(1)
    elsewhere.wait_for("/readyz")
    assert scores(elsewhere, world) == scores(endpoint, world)

    set_desired(far.releasing, NAME, 2, world.digests[2])
    plan = read_plan(far.releasing, NAME)
    assert plan is not None
    followers = wait_until_followed(far.releasing, plan, seconds=60.0)
    assert [follower.port for follower in followers] == [elsewhere.port]
    assert elsewhere.model()["version"] == 2

    objects = ObjectStore(far.releasing.models_uri or "")
    whole = objects.read(package_name(NAME, 1))
    assert whole is not None
    objects.write(package_name(NAME, 3), whole.content)  # another version's bytes under this number
    arm = PlannedArm(role="champion", version=3, digest=world.digests[1], share=1.0)
    write_plan_by_hand(far.releasing, NAME, (arm,))
    assert "published as version 1" in refusal(far)
    assert "published as version 1" in elsewhere.model()["last_error"]
    assert elsewhere.model()["version"] == 2

    far.storage.stop()
    elsewhere.stop()
    shutil.rmtree(elsewhere.settings.home / "serving" / "models")  # the copies stand in
    elsewhere.start()
    elsewhere.wait_for_version(2)
    elsewhere.wait_for("/readyz")
    assert elsewhere.predict(world.rows[:5]).status_code == 200

    far.storage.start()
    set_desired(far.releasing, NAME, 1, world.digests[1])
    elsewhere.wait_for_version(1)
    assert scores(elsewhere, world) == scores(endpoint, world)


def refusal(far: Far) -> str:
    """Why the endpoint does not follow the newest plan, as releases read it."""
    for _ in range(200):
        errors = [follower.error for follower in live_followers(far.releasing, NAME)]
        if any(errors):
            return " ".join(filter(None, errors))
        time.sleep(0.1)
    return ""


def scores(endpoint: Endpoint, world: World) -> list[dict[str, Any]]:
    rows = endpoint.predict(world.rows[:20]).json()["predictions"]
    return [{name: row[name] for name in row if name != "prediction_id"} for row in rows]
