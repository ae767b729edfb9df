"""What the parts of an answer take in process:

`python -m proofs.bench.serving.inprocess HOME` prints microseconds as one JSON object.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from include.catalogue import load_use_case
from include.features.online.sqlite import SqliteReader
from include.features.online.store import OnlineFeatures
from include.features.row_transform import RowTransform
from include.features.store import open_store
from include.model.engine import open_engine
from include.model.package import ScoringModel, load_model
from include.settings import Settings, load_settings
from include.spec import UseCase

REPETITIONS, SECONDS = 7, 0.08


def main() -> None:
    """Measure the folder that the bench has built."""
    settings, use_case = load_settings(), load_use_case("flight_delays")
    model = load_model(Path(sys.argv[1]))
    rows = [
        typed(use_case, json.loads(line)["rows"][0])
        for line in (settings.home / "lookup.jsonl").read_text().splitlines()
    ]
    parts = {
        **_lookups(settings, use_case, rows),
        **_scores(settings, use_case, model, rows),
        **_commits(settings),
    }
    took: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(REPETITIONS):
        for name, work in parts.items():
            took[name].append(microseconds(work))
    print(json.dumps({name: min(values) for name, values in took.items()}))


def _lookups(
    settings: Settings, use_case: UseCase, rows: list[dict[str, Any]]
) -> dict[str, Callable[[], Any]]:
    online, store = OnlineFeatures(use_case, settings), open_store(settings)
    moments = [row[use_case.event_time] for row in rows]
    online.lookup_rows(rows, moments)
    opened = online._opened
    assert opened is not None
    reader = opened._reader
    assert isinstance(reader, SqliteReader)
    service = store.get_feature_service(use_case.feature_service)
    keys = {key: rows[0][key] for key in use_case.serving.entity_keys}
    raw = sqlite3.connect(settings.feature_store_dir / "online.db")
    statements = [
        (
            (
                f'SELECT entity_key, feature_name, value, event_ts FROM "{table}" WHERE entity_key'  # noqa: S608
                " IN (?)"
            ),
            [key],
        )  # Feast's names
        for table, view, number in zip(
            reader._tables, opened.views, range(len(opened.views)), strict=True
        )
        for key in [reader._bytes[number][tuple(rows[0][name] for name in view.join_keys)]]
    ]

    def fresh() -> object:
        reader._state = None if reader._state is None else (reader._state[0], -1)
        reader._values.clear()
        return online.lookup_rows(rows[:1], moments[:1])

    return {
        "raw read": lambda: [
            raw.execute(statement, key).fetchall() for statement, key in statements
        ],
        "look-up, kept": lambda: online.lookup_rows(rows[:1], moments[:1]),
        "look-up, read": fresh,
        "get_online_features": (
            lambda: store.get_online_features(
                service, entity_rows=[keys], full_feature_names=True
            ).to_dict()
        ),
    }


def _scores(
    settings: Settings, use_case: UseCase, model: ScoringModel, rows: list[dict[str, Any]]
) -> dict[str, Callable[[], Any]]:
    results = (
        OnlineFeatures(use_case, settings)
        .lookup_rows(rows, [row[use_case.event_time] for row in rows])
        .features
    )
    sources = [{**features, **row} for features, row in zip(results, rows, strict=True)]
    compiled, engine = RowTransform(model.transform), open_engine(model)
    one, many = sources[:1], sources[:100]
    columns = {name: [source[name] for source in many] for name in model.transform.columns}
    single = {name: values[:1] for name, values in columns.items()}
    matrix, hundred = compiled.matrix(one), compiled.matrix(many)
    return {
        "transform 1 row, compiled": lambda: compiled.matrix(one),
        "transform 1 row, columns": lambda: model.transform.apply(single),
        "predict 1 row, ONNX Runtime": lambda: engine.predict(matrix),
        "predict 1 row, inplace_predict": lambda: model.booster.inplace_predict(matrix),
        "predict 100 rows, ONNX Runtime": lambda: engine.predict(hundred),
        "predict 100 rows, inplace_predict": lambda: model.booster.inplace_predict(hundred),
        "score 100 rows, package": lambda: model.score(columns),
    }


def _commits(settings: Settings) -> dict[str, Callable[[], Any]]:
    """What the disk takes for a commit of one row and of sixteen (1 and 16 kB), in a file that has
    its size already.
    """
    file = os.open(settings.home / "synced", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, bytes(1 << 22), 0)
    os.fsync(file)
    places = cycle(range(0, (1 << 22) - 16_384, 16_384))

    def commit(size: int) -> None:
        os.pwrite(file, b"x" * size, next(places))
        os.fdatasync(file)

    return {
        "write and sync 1 kB": partial(commit, 1024),
        "write and sync 16 kB": partial(commit, 16_384),
    }


def typed(use_case: UseCase, row: dict[str, Any]) -> dict[str, Any]:
    """A row of a request with its times as Python's."""
    times = {
        use_case.event_time,
        *(item.name for item in use_case.serving.request_fields if item.type == "timestamp"),
    }
    return {
        name: datetime.fromisoformat(value) if name in times else value
        for name, value in row.items()
    }


def microseconds(work: Callable[[], Any]) -> float:
    """The mean of as many calls as fit into a moment; the first is not counted."""
    work()
    calls, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < SECONDS:
        work()
        calls += 1
    return spent / calls * 1e6


if __name__ == "__main__":
    main()
