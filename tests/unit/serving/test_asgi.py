"""The application's own paths and its life, without a server: healthy from the start on, ready only
with a model.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from serving import asgi
from serving.asgi import Endpoint


async def get(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b""}
    await endpoint(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


async def through_its_life() -> dict[str, tuple[int, bytes]]:
    endpoint, told, asked = Endpoint(), asyncio.Queue[Any](), asyncio.Queue[Any]()
    life = asyncio.create_task(endpoint({"type": "lifespan"}, asked.get, told.put))
    await asked.put({"type": "lifespan.startup"})
    assert (await told.get())["type"] == "lifespan.startup.complete"
    found = {
        path: await get(endpoint, path)
        for path in ("/livez", "/healthz", "/readyz", "/metrics", "/v1/models")
    }
    found["HEAD"] = await get(endpoint, "/readyz", "HEAD")
    await asked.put({"type": "lifespan.shutdown"})
    assert (await told.get())["type"] == "lifespan.shutdown.complete"
    await life
    found["ended"] = await get(endpoint, "/livez")
    return found


def test_an_endpoint_without_a_model_is_healthy_and_not_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Feast, once imported, points the variable at a folder of its own, into which the children of
    # other tests write: not the files of this endpoint's workers.
    monkeypatch.setattr(asgi, "SHARED_METRICS", None)
    found = asyncio.run(through_its_life())
    assert [found[path][0] for path in ("/livez", "/healthz", "/v1/models")] == [200, 200, 200]
    assert found["/readyz"][0] == 503
    assert found["/readyz"][1]
    assert found["HEAD"] == (503, b"")
    assert b"flightdeck_log_backlog_rows" in found["/metrics"][1]
    assert found["ended"][0] == 503


def test_metrics_wait_for_a_worker_that_is_just_making_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "SHARED_METRICS", str(tmp_path))
    made = tmp_path / "counter_1.db"
    made.touch()
    assert asyncio.run(get(Endpoint(), "/metrics"))[0] == 503
    monkeypatch.setattr(time, "sleep", lambda _: made.unlink())
    assert asyncio.run(get(Endpoint(), "/metrics")) == (200, b"")
