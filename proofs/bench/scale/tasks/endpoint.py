"""One endpoint process with a model of every plain use case in service."""

from __future__ import annotations

import time
from typing import Any

import psutil

from include.catalogue import names
from include.data_sets.split import cut, moments
from include.model.signing import attach_signature, ensure_keys, sign_package
from include.release.model_store import publish, set_desired
from include.settings import Settings, load_settings
from proofs.bench.scale.project import PLAIN
from proofs.bench.scale.storms import plain_case, storms, train
from proofs.harness.endpoint import Endpoint

ROWS, ROUNDS = 3000, 20
READY_SECONDS = 900.0


def serve(arguments: dict[str, Any]) -> dict[str, Any]:
    """Seconds from the start until every model serves, the first time, when each is tried in a
    process of its own, and at the next start, and the worker's own memory (MB) then.
    """
    settings = load_settings()
    ensure_keys(settings)
    cases = [name for name in names() if name.startswith(PLAIN)][: arguments["count"]]
    rows = storms(ROWS)
    for name in cases:
        _deploy(settings, name, rows)
    first, _ = _start(settings, len(cases))
    seconds, memory = _start(settings, len(cases))
    return {"seconds": seconds, "first": first, "next": seconds, "memory": memory}


def _deploy(settings: Settings, name: str, rows: Any) -> None:
    number = int(name.rpartition("_")[2])
    use_case = plain_case(number, boost_rounds=ROUNDS, early_stopping_rounds=ROUNDS)
    folder, digest = train(use_case, settings, cut(use_case, rows, moments(use_case, rows)))
    attach_signature(folder, sign_package(settings, folder, digest))
    publish(settings, name, folder, 1, digest)
    set_desired(settings, name, 1, digest)


def _start(settings: Settings, count: int) -> tuple[float, float]:
    started = time.monotonic()
    with Endpoint(settings) as endpoint:
        while True:
            models = endpoint.client.get("/v1/models").json()["models"]
            if sum(model["version"] == 1 for model in models) >= count:
                break
            if time.monotonic() > started + READY_SECONDS:
                raise TimeoutError(f"not all of {count} models serve: {models[:2]}")
            time.sleep(0.1)
        seconds = time.monotonic() - started
        memory = psutil.Process(endpoint.worker().pid).memory_full_info().uss / 1e6
    return seconds, float(memory)
