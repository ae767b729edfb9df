"""The model that `transform` and `predict` are measured with."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from include.catalogue import load_use_case
from include.features.retrieval import point_in_time
from include.features.transform import FeatureTransform
from include.tables.store import TableStore
from include.training.fitting import fit_booster, to_dmatrix
from proofs.bench.training.world import USE_CASE, bench_settings

MODEL_ROWS = 100_000


def model(arguments: dict[str, Any]) -> dict[str, Any]:
    """A booster of 100 trees on a year's rows, and its transform, for `transform` and `predict`."""
    started, folder = time.perf_counter(), Path(arguments["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    use_case, threads = load_use_case(USE_CASE), bench_settings().training_threads
    joined = _joined(MODEL_ROWS)
    joined.write_parquet(folder / "rows.parquet")
    fitted = FeatureTransform.fit(use_case, joined)
    (folder / "transform.json").write_text(fitted.model_dump_json())
    labels = np.arange(joined.height) % 2
    matrix = to_dmatrix(fitted, fitted.apply_frame(joined), labels, threads=threads, max_bin=128)
    training = use_case.training.model_copy(
        update={"boost_rounds": 100, "early_stopping_rounds": 100}
    )
    fit = fit_booster(
        use_case.model_copy(update={"training": training}),
        dict(training.parameters),
        matrix,
        matrix,
        threads=threads,
    )
    fit.booster.save_model(folder / "model.ubj")
    return {"seconds": time.perf_counter() - started, "trees": fit.best_iteration + 1}


def _joined(rows: int) -> Any:
    """Up to so many rows of the year with their features."""
    use_case, settings = load_use_case(USE_CASE), bench_settings()
    frame = TableStore(settings.tables_uri).read(use_case.entity_table)
    return point_in_time(
        use_case, frame.gather_every(max(1, frame.height // rows)).head(rows), settings
    )
