"""Looking one key up in Redis and in PostgreSQL, each against a reader by hand and Feast's public
look-up, in one interleaved run.

`python -m proofs.bench.serving.stores`, in the environment of the folder that the bench has built,
prints one JSON object: kind of store -> microseconds by what was measured, or `{"missing": why}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from include.catalogue import load_use_case
from include.errors import PlatformError
from include.features.online.postgres import PostgresReader
from include.features.online.redis import RedisReader
from include.features.online.store import OnlineFeatures, materialise
from include.features.store import apply_definitions, open_store
from include.features.views import View
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.spec import UseCase
from proofs.bench.serving.aims import at_most
from proofs.bench.serving.inprocess import REPETITIONS, microseconds, typed
from proofs.harness.store_servers import PostgresServer, RedisServer, StoreServer

RAW, OURS, FEAST = "raw read", "look-up", "get_online_features"
AIM = 2.0
BY_HAND = {
    "Redis": "one pipeline of five HMGET by redis-py",
    "PostgreSQL": "one prepared UNION ALL of five SELECT by psycopg, one connection",
}
KINDS: dict[str, Callable[[], StoreServer]] = {"Redis": RedisServer, "PostgreSQL": PostgresServer}
Work = Callable[[], Any]


def main() -> None:
    """Measure both."""
    settings, use_case = load_settings(), load_use_case("flight_delays")
    rows = [
        typed(use_case, json.loads(line)["rows"][0])
        for line in (settings.home / "lookup.jsonl").read_text().splitlines()
    ]
    unknown = (
        OnlineFeatures(use_case, settings)
        .lookup_rows(rows, [row[use_case.event_time] for row in rows])
        .unknown
    )
    row = next(row for row, views in zip(rows, unknown, strict=True) if not views)
    print(json.dumps({kind: _measured(kind, settings, use_case, row) for kind in KINDS}))


def measure_stores(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What `main` prints in this environment, measured by a process of its own."""
    command = [sys.executable, "-m", "proofs.bench.serving.stores"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=dict(environment), capture_output=True, text=True, check=True
    )
    figures: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def store_rows(measured: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows like those of `proofs.bench.serving.aims.aims`."""
    rows = []
    for kind, took in measured.items():
        name = f"look-up to raw read, {kind}"
        if "missing" in took:
            rows.append(
                {
                    "name": name,
                    "ratio": None,
                    "aim": AIM,
                    "reached": None,
                    "detail": took["missing"],
                }
            )
            continue
        detail = (
            f"{took[OURS]:.0f} against {took[RAW]:.0f} us ({BY_HAND[kind]}); get_online_features"
            f" {took[FEAST]:.0f} us"
        )
        rows.append(at_most(name, took[OURS] / took[RAW], AIM, detail))
    return rows


def _measured(
    kind: str, settings: Settings, use_case: UseCase, row: dict[str, Any]
) -> dict[str, Any]:
    try:
        with KINDS[kind]() as server:
            home = settings.home / kind
            moved = settings.model_copy(update={"home": home, "online_store": server.url})
            apply_definitions(moved)
            materialise(use_case, moved, row[use_case.event_time])
            return _microseconds(_works(moved, use_case, row))
    except PlatformError as error:
        return {"missing": f"not measured: {error}"}


def _works(settings: Settings, use_case: UseCase, row: dict[str, Any]) -> dict[str, Work]:
    online, store = OnlineFeatures(use_case, settings), open_store(settings)
    moment: datetime = row[use_case.event_time]
    looked_up = online.lookup_rows([row], [moment])
    assert not any(looked_up.unknown)
    opened = online._opened
    assert opened is not None
    keys = [tuple(row[name] for name in view.join_keys) for view in opened.views]
    service = store.get_feature_service(use_case.feature_service)
    asked = {key: row[key] for key in use_case.serving.entity_keys}
    reader = opened._reader
    by_hand = _redis_by_hand if isinstance(reader, RedisReader) else _postgres_by_hand
    assert isinstance(reader, RedisReader | PostgresReader)
    serialised = [reader._bytes[number][key] for number, key in enumerate(keys)]
    return {
        RAW: by_hand(settings, reader, opened.views, serialised),
        OURS: lambda: online.lookup_rows([row], [moment]),
        FEAST: (
            lambda: store.get_online_features(
                service, entity_rows=[asked], full_feature_names=True
            ).to_dict()
        ),
    }


def _redis_by_hand(settings: Settings, reader: Any, _: tuple[View, ...], keys: list[bytes]) -> Work:
    import redis

    client = redis.Redis.from_url(str(settings.online_store))
    commands = [
        (key + reader._project, fields) for key, fields in zip(keys, reader._fields, strict=True)
    ]

    def read() -> list[Any]:
        with client.pipeline(transaction=False) as pipe:
            for key, fields in commands:
                pipe.hmget(key, fields)
            answers: list[Any] = pipe.execute()
        return answers

    assert all(reply[-1] for reply in read())
    return read


def _postgres_by_hand(
    settings: Settings, _: Any, views: tuple[View, ...], keys: list[bytes]
) -> Work:
    import psycopg

    connection = psycopg.connect(str(settings.online_store), autocommit=True)
    project = open_store(settings).config.project
    statement = " UNION ALL ".join(
        f'SELECT entity_key, feature_name, value, event_ts FROM "{project}_{view.name}"'  # noqa: S608
        " WHERE entity_key = %s"
        for view in views
    ).encode()

    def read() -> list[Any]:
        return connection.execute(statement, keys, prepare=True, binary=True).fetchall()

    assert len(read()) >= len(views)
    return read


def _microseconds(works: Mapping[str, Work]) -> dict[str, float]:
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(REPETITIONS):
        for name, work in works.items():
            took[name].append(microseconds(work))
    return {name: min(values) for name, values in took.items()}


if __name__ == "__main__":
    main()
