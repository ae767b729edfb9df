"""The other tasks of a measurement: reading and validating a table, transform, predict, one step,
the whole DAG.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proofs.bench.training.world import USE_CASE, YEAR, bench_settings, year_context

MODEL_ROWS = 100_000


def read_table(arguments: dict[str, Any]) -> dict[str, Any]:
    """Plain reading of the entity table into memory."""
    from include.tables.store import TableStore

    tables, name = TableStore(bench_settings().tables_uri), arguments["table"]
    tables.read(name)
    started = time.perf_counter()
    frame = tables.read(name)
    return {"seconds": time.perf_counter() - started, "rows": frame.height}


def validate_table(arguments: dict[str, Any]) -> dict[str, Any]:
    """Reading the table and judging it with Great Expectations; the library is imported and warm
    before.
    """
    from include.catalogue import load_use_case
    from include.quality.validation import validate
    from include.tables.store import TableStore

    tables, table = (
        TableStore(bench_settings().tables_uri),
        load_use_case(USE_CASE).table(arguments["table"]),
    )
    validate(table, tables.read(table.name).head(1000), window=YEAR, minimum_rows=1)
    started = time.perf_counter()
    frame = tables.read(table.name)
    validation = validate(table, frame, window=YEAR, minimum_rows=1)
    return {
        "seconds": time.perf_counter() - started,
        "rows": frame.height,
        "failures": len(validation.failures),
    }


def model(arguments: dict[str, Any]) -> dict[str, Any]:
    """A booster of 100 trees on a year's rows, and its transform, for `transform` and `predict`."""
    import numpy as np

    from include.catalogue import load_use_case
    from include.features.transform import FeatureTransform
    from include.training.fitting import fit_booster, to_dmatrix

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


def transform(arguments: dict[str, Any]) -> dict[str, Any]:
    """`FeatureTransform.apply_frame` on joined rows, repeated until there are as many as asked
    for.
    """
    import polars as pl

    (base, rows), fitted = _model_rows(arguments), _transform(arguments)
    frame = (
        base.head(rows)
        if rows <= base.height
        else pl.concat([base] * -(-rows // base.height)).head(rows)
    )
    fitted.apply_frame(frame.head(1000))
    started = time.perf_counter()
    matrix = fitted.apply_frame(frame)
    return {"seconds": time.perf_counter() - started, "rows": matrix.shape[0]}


def predict(arguments: dict[str, Any]) -> dict[str, Any]:
    """A booster's `inplace_predict`, which is what scoring calls, on as many rows of the matrix."""
    import numpy as np
    import xgboost

    base, rows = _model_rows(arguments)
    small = _transform(arguments).apply_frame(base)
    matrix = np.resize(small, (rows, small.shape[1]))
    booster = xgboost.Booster({"nthread": bench_settings().training_threads})
    booster.load_model(Path(arguments["model"]) / "model.ubj")
    booster.set_param({"nthread": bench_settings().training_threads})
    booster.inplace_predict(matrix[:1000])
    started = time.perf_counter()
    scores = booster.inplace_predict(matrix)
    return {"seconds": time.perf_counter() - started, "rows": int(scores.shape[0])}


def step(arguments: dict[str, Any]) -> dict[str, Any]:
    """Call one step with the results of those before it, by reference; `result` is its own."""
    from include.steps import call_after, load_step

    run = load_step(arguments["step"])
    context = year_context("bench-steps", arguments["process"], trials=arguments["trials"])
    started = time.perf_counter()
    result = call_after(run, context, arguments["inputs"]).as_json()
    return {"seconds": time.perf_counter() - started, "result": result}


def dag(arguments: dict[str, Any]) -> dict[str, Any]:
    """The training DAG through Airflow's own runner, in this process."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    from include.settings import PROJECT_ROOT

    dag_id = f"{USE_CASE}__training"
    bag = BundleDagBag(
        dag_folder=str(PROJECT_ROOT / "dags"),
        bundle_path=PROJECT_ROOT / "dags",
        bundle_name="dags-folder",
    )
    # A run id carries the moment of the run; two runs of one second would be the same.
    conf = {
        "until": YEAR.end.date().isoformat(),
        "trials": arguments["trials"],
        "reason": f"bench {datetime.now(UTC).isoformat()}",
    }
    started = time.perf_counter()
    run = bag.dags[dag_id].test(run_conf=conf)
    seconds = time.perf_counter() - started
    with create_session() as session:
        tasks = {
            item.task_id: (str(item.state), float(item.duration or 0.0))
            for item in run.get_task_instances(session=session)
        }
        query = XComModel.get_many(run_id=run.run_id, dag_ids=dag_id, key="return_value")
        results = {row.task_id: XComModel.deserialize_value(row) for row in session.scalars(query)}
    trained = results.get("train_model", {})
    verdict = results.get("check_gates", {})
    return {
        "seconds": seconds,
        "state": str(run.state),
        "tasks": {
            name: {"state": state, "seconds": duration} for name, (state, duration) in tasks.items()
        },
        "package": trained.get("package"),
        "validation_loss": trained.get("validation_loss"),
        "reasons": verdict.get("reasons"),
    }


def _joined(rows: int) -> Any:
    """Up to so many rows of the year with their features."""
    from include.catalogue import load_use_case
    from include.features.retrieval import point_in_time
    from include.tables.store import TableStore

    use_case, settings = load_use_case(USE_CASE), bench_settings()
    frame = TableStore(settings.tables_uri).read(use_case.entity_table)
    return point_in_time(
        use_case, frame.gather_every(max(1, frame.height // rows)).head(rows), settings
    )


def _model_rows(arguments: dict[str, Any]) -> tuple[Any, int]:
    import polars as pl

    return pl.read_parquet(Path(arguments["model"]) / "rows.parquet"), int(arguments["rows"])


def _transform(arguments: dict[str, Any]) -> Any:
    from include.features.transform import FeatureTransform

    return FeatureTransform.model_validate_json(
        (Path(arguments["model"]) / "transform.json").read_text()
    )
