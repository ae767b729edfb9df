"""The final fit over one table, in memory, from external memory, on a cluster of processes."""

from __future__ import annotations

import json
import time
from typing import Any

from include.data_sets.stored_splits import StoredSplits
from include.model.package import load_model
from include.settings import load_settings
from include.tables.store import TableStore
from proofs.bench.scale.storms import SNAPSHOT, plain_case, storms, train

ROUNDS = 40


def write_rows(arguments: dict[str, Any]) -> dict[str, Any]:
    """The training set as a table, and where it is cut."""
    settings, started = load_settings(), time.perf_counter()
    frame = storms(arguments["rows"])
    tables = TableStore(settings.tables_uri)
    version = tables.replace_all(str(SNAPSHOT["name"]), frame).version
    times = frame["observed_at"]
    cuts = {
        name: times[int(share * frame.height)].isoformat()
        for name, share in (("validation_start", 0.7), ("test_start", 0.85))
    }
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "version": version, "boundaries": cuts}


def fit(arguments: dict[str, Any]) -> dict[str, Any]:
    """Seconds of training and writing the package, with its metrics on the test split."""
    settings, way = load_settings(), arguments["way"]
    use_case = plain_case(1, fit_in=way, boost_rounds=ROUNDS, early_stopping_rounds=ROUNDS)
    stored = StoredSplits(
        use_case,
        settings.tables_uri,
        str(SNAPSHOT["name"]),
        arguments["version"],
        arguments["boundaries"],
    )
    started = time.perf_counter()
    splits = dict(stored) if way == "memory" else stored
    folder, digest = train(use_case, settings, splits)
    seconds = time.perf_counter() - started
    metrics = load_model(folder, expected_digest=digest).metadata.metrics
    return {"seconds": seconds, "metrics": json.loads(json.dumps(metrics))}
