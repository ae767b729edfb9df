"""The endpoint with an online store behind a network: the same answers, and what a caller sees
while the store is away.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.features.online.store import materialise
from include.features.store import apply_definitions
from include.release.model_store import set_desired
from proofs.harness.endpoint import Endpoint
from proofs.harness.home import home_settings
from proofs.harness.store_servers import PASSWORD, PostgresServer, RedisServer, StoreServer
from proofs.harness.world import INTERVAL, World

pytestmark = pytest.mark.slow
LONGEST_SECONDS = 8.0


@pytest.fixture(params=[RedisServer, PostgresServer])
def server(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with request.param() as running:
        yield running


@pytest.fixture
def remote(server: StoreServer, world: World, tmp_path: Path) -> Iterator[Endpoint]:
    """An endpoint of its own whose features lie in the server."""
    home = tmp_path / "home"
    shutil.copytree(world.settings.home, home, ignore=shutil.ignore_patterns("feast"))
    settings = home_settings(home, ONLINE_STORE=server.url)
    apply_definitions(settings)
    materialise(world.use_case, settings, INTERVAL.end)
    set_desired(settings, "flight_delays", 1, world.digests[1])
    with Endpoint(settings) as endpoint:
        endpoint.wait_for_version(1)
        endpoint.wait_for("/readyz")
        yield endpoint


def test_answers_are_those_of_the_local_store_and_a_store_that_is_away_is_503(
    server: StoreServer, remote: Endpoint, endpoint: Endpoint, world: World
) -> None:
    answers = [where.predict(world.rows[:50]).json()["predictions"] for where in (remote, endpoint)]
    told, local = (
        [{name: value for name, value in row.items() if name != "prediction_id"} for row in answer]
        for answer in answers
    )
    assert told == local
    server.stop()
    away(remote, world)
    server.start()
    assert remote.predict(world.rows[:1]).status_code == 200
    server.freeze()
    away(remote, world)
    server.thaw()
    assert remote.predict(world.rows[:1]).status_code == 200
    assert PASSWORD not in remote.log.read_text()


def away(endpoint: Endpoint, world: World) -> None:
    """Told as such, in time, to few rows and to many; the process itself stays well."""
    for rows in (world.rows[:1], world.rows[:60]):
        started = time.monotonic()
        answer = endpoint.predict(rows)
        assert time.monotonic() - started < LONGEST_SECONDS
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "features_unavailable")
        assert "does not answer as it should" in answer.json()["error"]["message"]
    assert endpoint.client.get("/livez").status_code == 200
