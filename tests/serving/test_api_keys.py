"""API keys in front of REST and gRPC; health stays free, other callers' keys do not help, a revoked
key ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc as triton_grpc
from tritonclient.utils import InferenceServerException

from cli.endpoint.api_keys import add_key, revoke_key
from include.errors import SettingsError
from include.release.endpoint import wait_until_serving
from include.release.model_store import set_desired
from proofs.harness.endpoint import GRPC_PORT, Endpoint
from proofs.harness.ports import free_port
from proofs.harness.world import World
from serving.contract.answers import ErrorAnswer

pytestmark = [pytest.mark.slow]
PREDICT = "/v1/models/flight_delays/predict"


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "api_keys"


@pytest.fixture(scope="module")
def key(keys_file: Path) -> str:
    return add_key(keys_file, "bookings")


@pytest.fixture(scope="module")
def guarded(world: World, keys_file: Path, key: str) -> Iterator[Endpoint]:
    """An endpoint that asks for keys."""
    set_desired(world.settings, "flight_delays", 1, world.digests[1])
    environment = {
        "FLIGHTDECK_API_KEYS_FILE": str(keys_file),
        GRPC_PORT: str(free_port()),
    }
    with Endpoint(world.settings, changes=environment) as endpoint:
        endpoint.wait_for("/readyz")
        yield endpoint


def test_the_file_holds_no_key_and_only_its_owner_reads_it(keys_file: Path, key: str) -> None:
    assert key not in keys_file.read_text()
    assert keys_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-API-Key": "wrong"}, {"Authorization": "Basic {key}"}, {"Authorization": "Bearer x"}],
)
def test_without_a_known_key_everything_but_health_is_refused(
    guarded: Endpoint, key: str, headers: dict[str, str]
) -> None:
    given = {name: value.format(key=key) for name, value in headers.items()}
    for path in (PREDICT, "/v1/models", "/v2", "/metrics", "/", "/docs", "/docs.json", "/nowhere"):
        answer = guarded.client.request("POST" if path == PREDICT else "GET", path, headers=given)
        error = ErrorAnswer.model_validate(answer.json()).error
        assert (answer.status_code, error.code) == (401, "unauthorized")
        assert any("Bearer" in text for text in error.valid or [])
    for path in ("/healthz", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready"):
        assert guarded.client.get(path, headers=given).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"X-API-Key": "{key}"}, {"Authorization": "Bearer {key}"}, {"authorization": "bearer {key}"}],
)
def test_a_known_key_opens_every_route(
    guarded: Endpoint, world: World, key: str, headers: dict[str, str]
) -> None:
    given = {name: value.format(key=key) for name, value in headers.items()}
    assert (
        guarded.client.post(PREDICT, json={"rows": world.rows[:1]}, headers=given).status_code
        == 200
    )
    assert guarded.client.get("/metrics", headers=given).status_code == 200


def test_grpc_asks_for_the_same_keys(guarded: Endpoint, key: str) -> None:
    with triton_grpc.InferenceServerClient(guarded.grpc_address) as client:
        assert client.is_server_live()
        with pytest.raises(InferenceServerException, match="asks for an API key") as refused:
            client.get_model_metadata("flight_delays")
        assert refused.value.status() == str(grpc.StatusCode.UNAUTHENTICATED)
        assert (
            client.get_model_metadata("flight_delays", headers={"x-api-key": key}).name
            == "flight_delays"
        )


def test_a_release_asks_with_its_own_key(
    guarded: Endpoint, world: World, key: str, tmp_path: Path
) -> None:
    own = tmp_path / "key"
    own.write_text(f"{key}\n")
    settings = world.settings.model_copy(update={"serving_url": guarded.url, "api_key_file": own})
    assert (
        wait_until_serving(settings, "flight_delays", 1, world.digests[1], seconds=20)["check"][
            "rows"
        ]
        == 20
    )
    with pytest.raises(SettingsError, match="API_KEY_FILE"):
        _ = settings.model_copy(update={"api_key_file": tmp_path / "none"}).endpoint_headers


def test_a_revoked_key_ends_within_seconds(guarded: Endpoint, keys_file: Path) -> None:
    other = {"X-API-Key": add_key(keys_file, "batch")}
    assert wait_for(guarded, other, 200)
    assert revoke_key(keys_file, "batch") == 1
    assert wait_for(guarded, other, 401)


def wait_for(endpoint: Endpoint, headers: dict[str, str], status: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if endpoint.client.get("/v1/models", headers=headers).status_code == status:
            return True
        time.sleep(0.1)
    return False
