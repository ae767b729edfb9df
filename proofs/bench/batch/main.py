"""What batch scoring costs: a Parquet file of real rows, ours against raw chunked `inplace_predict`
over the same file, taking turns.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.platform.environment import common_environment, process_environment
from include.settings import Settings, load_settings
from proofs.bench.measure import Measured, median, run_child
from proofs.bench.rows import show, write

AIM = 0.8
MEMORY_AIM = 1.2
ROWS, QUICK_ROWS = 10_000_000, 300_000
REPETITIONS, QUICK_REPETITIONS = 2, 1
TIME_LIMIT = 1800.0


def bench_batch(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{QUICK_ROWS:,} rows instead of {ROWS:,}.")
    ] = False,
) -> None:
    """Measure batch scoring against raw chunked `inplace_predict` over the same file.

    Writes bench/batch.json in FLIGHTDECK_HOME.
    """
    rows = measure_batch(quick=quick)
    show(rows)
    path = load_settings().home / "bench" / ("batch-quick.json" if quick else "batch.json")
    write(path, rows)
    print(f"Written to {path}")


def measure_batch(*, quick: bool) -> list[dict[str, Any]]:
    """Rows `{"name", "ratio", "aim", "reached", "detail"}`.

    With `quick` the sizes are small and the ratios mean little.
    """
    home = load_settings().home / "bench" / "batch-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        return _measure(
            home, QUICK_ROWS if quick else ROWS, QUICK_REPETITIONS if quick else REPETITIONS
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _measure(home: Path, rows: int, repetitions: int) -> list[dict[str, Any]]:
    settings = _settings(home)
    environment = process_environment(
        {**common_environment(settings), "PYTHONWARNINGS": "ignore", "OMP_WAIT_POLICY": "PASSIVE"}
    )
    small, large = max(rows // 10, 100_000), rows

    def child(task: str, **arguments: Any) -> Measured:
        print(f"  {task} {arguments.get('rows', Path(arguments['path']).stem)}", flush=True)
        return run_child(task, arguments, environment, time_limit=TIME_LIMIT)

    files = {count: home / f"rows-{count}.parquet" for count in (small, large)}
    made = {count: child("batch_rows", rows=count, path=str(path)) for count, path in files.items()}
    package = made[large].answer["package"]
    measured: dict[str, list[Measured]] = {"batch_raw": [], "batch_ours": []}
    for turn in range(repetitions):
        for task in list(measured) if turn % 2 == 0 else list(reversed(measured)):
            measured[task].append(child(task, package=package, path=str(files[large])))
    little = child("batch_ours", package=package, path=str(files[small]))
    return [_speed(measured, made[large]), _memory(measured, little, small, large)]


def _speed(measured: dict[str, list[Measured]], made: Measured) -> dict[str, Any]:
    raw, ours = median(measured["batch_raw"]), median(measured["batch_ours"])
    rows = measured["batch_ours"][0].answer["rows"]
    means = [item.answer["mean_score"] for items in measured.values() for item in items]
    same = max(means) - min(means) < 1e-6  # sums of equal scores in another order
    detail = (
        f"{rows:,} rows, {made.answer['trees']} trees: ours {rows / ours:,.0f} rows/s with every"
        f" check and the output written, raw {rows / raw:,.0f} rows/s; mean scores"
        f" {'equal' if same else f'DIFFER: {means}'}"
    )
    ratio = raw / ours
    return {
        "name": "batch: rows/s over raw predict",
        "ratio": ratio,
        "aim": AIM,
        "reached": bool(same and ratio >= AIM),
        "detail": detail,
    }


def _memory(
    measured: dict[str, list[Measured]], little: Measured, small: int, large: int
) -> dict[str, Any]:
    peak = median(measured["batch_ours"], "peak_mb")
    ratio = peak / little.peak_mb
    detail = (
        f"largest resident set: {peak:,.0f} MB at {large:,} rows, {little.peak_mb:,.0f} MB at"
        f" {small:,}"
    )
    return {
        "name": "batch: memory at ten times the rows",
        "ratio": ratio,
        "aim": MEMORY_AIM,
        "reached": ratio <= MEMORY_AIM,
        "detail": detail,
    }


def _settings(home: Path) -> Settings:
    settings = load_settings()
    return settings.model_copy(
        update={
            "home": home,
            "tables_uri": str(home / "tables"),
            "mlflow_tracking_uri": f"sqlite:///{home}/mlflow.db",
            "sample_share": 1.0,
        }
    )
