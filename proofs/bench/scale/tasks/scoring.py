"""Batch scoring of one partition, as one of several workers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from include.data_sets.split import cut, moments
from include.model.package import load_model
from include.scoring.files import score_file
from include.settings import load_settings
from proofs.bench.scale.storms import WINDOW, plain_case, storms, train

MODEL_ROWS, ROUNDS = 30_000, 100


def prepare(arguments: dict[str, Any]) -> dict[str, Any]:
    """One model, and one partition's file."""
    started, settings = time.perf_counter(), load_settings()
    use_case = plain_case(1, boost_rounds=ROUNDS, early_stopping_rounds=ROUNDS)
    rows = storms(MODEL_ROWS)
    folder, digest = train(use_case, settings, cut(use_case, rows, moments(use_case, rows)))
    path = settings.home / "partition.parquet"
    storms(arguments["rows"], seed=8).write_parquet(path)
    answer = {"package": str(folder), "digest": digest, "path": str(path)}
    return {"seconds": time.perf_counter() - started, **answer}


def score(arguments: dict[str, Any]) -> dict[str, Any]:
    """Seconds of `score_file` on one thread, begun when all workers are ready; `ended` is the
    moment of its end.
    """
    use_case = plain_case(1)
    model = load_model(Path(arguments["package"]), expected_digest=arguments["digest"], threads=1)
    model.check_golden()
    source, ready = Path(arguments["path"]), Path(arguments["ready"])
    target = source.with_name(f"predictions-{arguments['worker']}.parquet")
    (ready / str(arguments["worker"])).touch()
    while len(list(ready.iterdir())) < arguments["workers"]:
        time.sleep(0.01)
    started = time.time()
    result = score_file(use_case, model, 1, source, target, WINDOW)
    ended = time.time()
    target.unlink()
    return {
        "seconds": ended - started,
        "began": started,
        "ended": ended,
        "rows": result["rows"],
    }
