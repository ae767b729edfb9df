"""One endpoint process with a model of every plain use case in service."""

from __future__ import annotations

import statistics
import sys
import time
from datetime import datetime
from typing import Any

import polars as pl
import psutil

from include.catalogue import names
from include.data_sets.split import cut, moments
from include.features.store import apply_definitions
from include.model.signing import attach_signature, ensure_keys, sign_package
from include.release.model_store import publish, set_desired
from include.settings import PREFIX, Settings, load_settings
from proofs.bench.scale.project import PLAIN
from proofs.bench.scale.storms import plain_case, storms, train
from proofs.harness.endpoint import Endpoint
from serving.contract.schema import request_schema

ROWS, ROUNDS = 3000, 20
READY_SECONDS = 1800.0


def serve(arguments: dict[str, Any]) -> dict[str, Any]:
    """Seconds until a request for any model is answered: the first time, since the process is
    alive, when each is tried in a process of its own, and of the next start; until as many are
    loaded as may be, at most `loaded`, and the worker's own memory (MB) then; and what `_ask`
    measures.
    """
    settings = load_settings()
    ensure_keys(settings)
    apply_definitions(settings)
    cases = [name for name in names() if name.startswith(PLAIN)][: arguments["count"]]
    rows = storms(ROWS)
    for name in cases:
        _deploy(settings, name, rows)
    changes = {f"{PREFIX}SERVING_LOADED_MODELS": str(arguments["loaded"])}
    most = min(arguments["loaded"], len(cases))
    with Endpoint(settings, changes=changes) as endpoint:
        first = _wait(endpoint, {"loaded", "ready"}, len(cases))
    started = time.monotonic()
    with Endpoint(settings, changes=changes) as endpoint:
        _wait(endpoint, {"loaded", "ready"}, len(cases))
        seconds = time.monotonic() - started
        _wait(endpoint, {"loaded"}, most)
        all_loaded = time.monotonic() - started
        memory = _memory(endpoint)
        loaded = [name for name, state in _states(endpoint).items() if state == "loaded"]
        answers = _ask(endpoint, cases, loaded, rows)
        after = _memory(endpoint)
    return {
        "seconds": seconds,
        "first": first,
        "next": seconds,
        "loaded_after": all_loaded,
        "memory": memory,
        "loaded": len(loaded),
        "memory_after": after,
        **answers,
    }


def _deploy(settings: Settings, name: str, rows: pl.DataFrame) -> None:
    use_case = plain_case(_number(name), boost_rounds=ROUNDS, early_stopping_rounds=ROUNDS)
    folder, digest = train(use_case, settings, cut(use_case, rows, moments(use_case, rows)))
    attach_signature(folder, sign_package(settings, folder, digest))
    publish(settings, name, folder, 1, digest)
    set_desired(settings, name, 1, digest)


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


def _wait(endpoint: Endpoint, states: set[str], count: int) -> float:
    """Seconds until so many models are in one of the states, since this was called."""
    started = time.monotonic()
    while True:
        now = _states(endpoint)
        if sum(state in states for state in now.values()) >= count:
            return time.monotonic() - started
        if time.monotonic() > started + READY_SECONDS:
            raise TimeoutError(f"not {count} models are {sorted(states)}: {now}")
        time.sleep(0.1)


def _states(endpoint: Endpoint) -> dict[str, str]:
    """What the endpoint says of each model whose features can be read."""
    models = endpoint.client.get("/v1/models").json()["models"]
    return {model["use_case"]: model["loading"] for model in models if model["features_ready"]}


def _memory(endpoint: Endpoint) -> float:
    return float(psutil.Process(endpoint.worker().pid).memory_full_info().uss / 1e6)


def _ask(
    endpoint: Endpoint, cases: list[str], loaded: list[str], rows: pl.DataFrame
) -> dict[str, Any]:
    """Every model asked once, the loaded ones first: how many answered, and the seconds of an
    answer by a model that was loaded (twice asked), and by one that was not.
    """
    row = next(rows.iter_rows(named=True))
    answered, quick, slow = 0, [], []
    for name in (*loaded, *(name for name in cases if name not in loaded)):
        types = request_schema(plain_case(_number(name))).types
        document = {"rows": [{column: _as_json(row[column]) for column in types}]}
        for again in range(2):
            started = time.monotonic()
            answer = endpoint.client.post(f"/v1/models/{name}/predict", json=document)
            seconds = time.monotonic() - started
            if again:
                quick.append(seconds)
            elif name not in loaded:
                slow.append(seconds)
        answered += answer.status_code == 200
        if answer.status_code != 200:
            print(name, answer.text, file=sys.stderr)
    return {
        "answered": answered,
        "quick": statistics.median(quick),
        "slow": statistics.median(slow) if slow else None,
        "slowest": max(slow, default=None),
    }


def _as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
