"""A Redis and a PostgreSQL of the test session, and Feast's public look-up to compare ours with."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.features.online.feast_rows import through_feast
from include.features.store import apply_definitions, open_store
from include.settings import Settings, load_settings
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.store_servers import PostgresServer, RedisServer, StoreServer

KINDS: dict[str, Callable[[], StoreServer]] = {"redis": RedisServer, "postgresql": PostgresServer}
TIME_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


class Servers:
    """Starts each kind at the first demand."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._running: dict[str, StoreServer] = {}

    def __getitem__(self, kind: str) -> StoreServer:
        if kind not in self._running:
            self._running[kind] = self._stack.enter_context(KINDS[kind]())
        return self._running[kind]

    def close(self) -> None:
        self._stack.close()


@dataclass(frozen=True)
class PublicAnswer:
    """Feast's answer; each maps `<view>__<feature>` to one entry per row."""

    values: dict[str, list[Any]]
    states: dict[str, list[str]]
    times: dict[str, list[datetime]]


def home_with(tables: Settings, home: Path, online_store: str) -> Settings:
    """A home of its own with the tables of another one, and this online store with the definitions
    applied.
    """
    shutil.copytree(Path(tables.tables_uri) / "features", home / "tables" / "features")
    settings = load_settings(
        {
            "FLIGHTDECK_ENV": "test",
            "FLIGHTDECK_HOME": str(home),
            "FLIGHTDECK_ONLINE_STORE": online_store,
        }
    )
    apply_definitions(settings)
    return settings


def through_feasts_public_look_up(
    settings: Settings, rows: Sequence[Mapping[str, Any]]
) -> PublicAnswer:
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

    store = open_store(settings)
    service = store.get_feature_service(USE_CASE.feature_service)
    with through_feast(
        store
    ):  # for its connection alone, which a restart of the server may have ended
        pass
    answer = store.get_online_features(service, entity_rows=list(rows), full_feature_names=True)
    results = dict(zip(answer.proto.metadata.feature_names.val, answer.proto.results, strict=True))
    values = answer.to_dict()
    names = [name for name in values if "__" in name]
    return PublicAnswer(
        {name: values[name] for name in names},
        {name: [FieldStatus.Name(state) for state in results[name].statuses] for name in names},
        {
            name: [stamp.ToDatetime(UTC) for stamp in results[name].event_timestamps]
            for name in names
        },
    )
