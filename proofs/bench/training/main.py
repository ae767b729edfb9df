"""What training costs: the join, validation, the whole DAG, every step's memory, growth with the
data. All as ratios within one run.

Every measurement is a fresh child process over the same tables; repetitions of the variants
alternate, and medians are compared.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.platform.environment import airflow_environment, process_environment
from include.errors import PlatformError
from include.settings import PROJECT_ROOT, Settings, load_settings
from proofs.bench.measure import Measured, median, run_child
from proofs.bench.rows import Row, line, show, write
from proofs.choices import check_names

JOIN_AIM, DAG_AIM, GROWTH_AIM = 1.3, 1.5, 1.0
JOINS = ("join_ours", "join_duckdb", "join_polars")
YEAR_DAYS = 366
FEAST_SECONDS = 90.0
DAG_SECONDS = 600.0


@dataclass(frozen=True)
class Scale:
    """How much is measured: all of it, or a small part that proves that the bench works."""

    share: float
    join_rows: tuple[int, ...]
    growth_rows: tuple[int, ...]
    feast_rows: int
    repetitions: int
    dag_repetitions: int
    trials: int


FULL = Scale(
    1.0, (10_000, 100_000, 336_776), (10_000, 100_000, 1_000_000, 10_000_000), 100, 3, 2, 4
)
QUICK = Scale(0.03, (1_000, 5_000), (1_000, 10_000), 5, 1, 1, 1)


class Bench:
    """One run: its folder, its environment, and how to measure in it."""

    def __init__(self, home: Path, scale: Scale) -> None:
        self.folder = home / "bench"
        self.scale = scale
        self.world = self.folder / "home"
        self.settings = _settings(self.world, scale)
        self.environment = process_environment(
            {
                **airflow_environment(self.settings),
                "FLIGHTDECK_SPEC_OVERLAY": str(_overlay(self.world)),
                "PYTHONWARNINGS": "ignore",
            }
        )

    def child(
        self, task: str, time_limit: float = 120.0, memory_limit_mb: float = 8192, **arguments: Any
    ) -> Measured:
        """Measure once."""
        shown = " ".join(str(value) for value in arguments.values() if isinstance(value, int | str))
        _say(f"  {task} {shown[:90]}")
        return run_child(
            task,
            arguments,
            self.environment,
            time_limit=time_limit,
            memory_limit_mb=memory_limit_mb,
        )

    def alternate(
        self, tasks: Mapping[str, tuple[str, dict[str, Any]]], repetitions: int
    ) -> dict[str, list[Measured]]:
        """`repetitions` rounds of all tasks, each round in another order."""
        measured: dict[str, list[Measured]] = {name: [] for name in tasks}
        names = list(tasks)
        for turn in range(repetitions):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                task, arguments = tasks[name]
                measured[name].append(self.child(task, **arguments))
        return measured

    def prepare(self) -> None:
        """The year's tables, and Airflow's and MLflow's databases."""
        _say("Preparing a year of tables.")
        (self.world / "mlflow").mkdir(parents=True, exist_ok=True)
        self.child("ingest", time_limit=DAG_SECONDS)
        for command in (
            ["airflow", "db", "migrate"],
            ["mlflow", "db", "upgrade", self.settings.mlflow_tracking_uri],
        ):
            done = subprocess.run(
                [sys.executable, "-m", *command],
                env=self.environment,
                cwd=PROJECT_ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                raise PlatformError(f"{' '.join(command)} failed: {done.stderr.strip()[-1000:]}")

    def rows_file(self, rows: int) -> Path:
        """The file of that many entity rows, written at the first call."""
        path = self.world / f"entities-{rows}.parquet"
        if not path.exists():
            self.child("entities", rows=rows, path=str(path))
        return path


def joins(bench: Bench) -> Iterator[Row]:
    """Ours against the faster hand-written join at every size; rows must be identical."""
    for rows in bench.scale.join_rows:
        arguments = {"path": str(bench.rows_file(rows)), "digest": True}
        measured = bench.alternate(
            {name: (name, arguments) for name in JOINS}, bench.scale.repetitions
        )
        same = len({item.answer["digest"] for group in measured.values() for item in group}) == 1
        seconds = {name: median(group) for name, group in measured.items()}
        first = {name: median([_first(item) for item in group]) for name, group in measured.items()}
        memory = {name: median(group, "peak_mb") for name, group in measured.items()}
        best = min(seconds[name] for name in JOINS[1:])
        detail = (
            f"{measured['join_ours'][0].answer['rows']} of {rows} rows,"
            f" {'identical' if same else 'NOT IDENTICAL'}; s: {_listed(seconds, '.3f')}; peak MB:"
            f" {_listed(memory, '.0f')}"
        )
        yield Row(
            f"point-in-time join, {rows:,} rows",
            seconds["join_ours"] / best if same else None,
            JOIN_AIM,
            detail,
        )
        least = min(first[name] for name in JOINS[1:])
        yield Row(
            f"  first call of a process, {rows:,} rows",
            first["join_ours"] / least,
            None,
            f"s: {_listed(first, '.3f')}",
        )
        lean = min(memory[name] for name in JOINS[1:])
        yield Row(
            f"  peak memory, {rows:,} rows",
            memory["join_ours"] / lean,
            None,
            f"MB: {_listed(memory, '.0f')}",
        )


def feast(bench: Bench) -> Iterator[Row]:
    """Feast's default store against ours on a bounded number of rows."""
    rows = bench.scale.feast_rows
    arguments: dict[str, Any] = {"path": str(bench.rows_file(rows))}
    theirs = bench.child("join_feast", time_limit=FEAST_SECONDS, **arguments)
    ours = bench.child("join_ours", **arguments)
    came = theirs.stopped or f"{theirs.answer['rows']} rows came back"
    detail = (
        f"{theirs.seconds:.1f} s, {theirs.peak_mb:.0f} MB, {came}; ours {ours.seconds:.3f} s,"
        f" {ours.peak_mb:.0f} MB, all rows"
    )
    name = f"Feast's default store against ours, {rows} rows"
    yield Row(
        name,
        theirs.seconds / ours.seconds,
        None,
        f"{'at least; ' if theirs.stopped else ''}{detail}",
    )


def validation(bench: Bench) -> Iterator[Row]:
    """Reading and validating the entity table against reading it."""
    arguments: dict[str, Any] = {"table": "raw/flights"}
    measured = bench.alternate(
        {"read": ("read", arguments), "validate": ("validate", arguments)}, bench.scale.repetitions
    )
    seconds = {name: median(group) for name, group in measured.items()}
    answer = measured["validate"][0].answer
    detail = f"{answer['rows']} rows, {answer['failures']} failures; s: {_listed(seconds, '.3f')}"
    yield Row(
        "validation of the flights against reading them",
        seconds["validate"] / seconds["read"],
        None,
        detail,
    )


def whole_dag(bench: Bench) -> Iterator[Row]:
    """The whole DAG against the bare script, each the life of its process."""
    trials = bench.scale.trials
    tasks: dict[str, tuple[str, dict[str, Any]]] = {
        "dag": ("dag", {"trials": trials, "time_limit": DAG_SECONDS}),
        "bare": (
            "bare",
            {"trials": trials, "folder": str(bench.world / "bare"), "time_limit": DAG_SECONDS},
        ),
    }
    measured = bench.alternate(tasks, bench.scale.dag_repetitions)
    walls = {name: median(group, "wall") for name, group in measured.items()}
    inner = {name: median(group) for name, group in measured.items()}
    for done in measured["dag"]:
        require_evaluated(done)
    last, bare = measured["dag"][-1].answer, measured["bare"][-1].answer
    steps = " ".join(f"{name} {item['seconds']:.1f}" for name, item in last["tasks"].items())
    same = last["validation_loss"] == bare["validation_logloss"]
    fits = (
        "same fit on both sides"
        if same
        else f"fits differ: {last['validation_loss']} and {bare['validation_logloss']}"
    )
    detail = f"run {last['state']}; {fits}; s: {_listed(walls, '.1f')}; steps: {steps}"
    yield Row(
        "whole training DAG against the bare script", walls["dag"] / walls["bare"], DAG_AIM, detail
    )
    cpu = {name: median(group, "cpu") for name, group in measured.items()}
    yield Row("  processor time", cpu["dag"] / cpu["bare"], None, f"s: {_listed(cpu, '.1f')}")
    yield Row(
        "  without the start of the processes",
        inner["dag"] / inner["bare"],
        None,
        f"s: {_listed(inner, '.1f')}",
    )


def require_evaluated(dag: Measured) -> None:
    """Raise `PlatformError` for a run that has evaluated no model: its time is no figure.

    The gates may refuse the candidate of `QUICK`, which comes from few rows.
    """
    if dag.stopped:
        raise PlatformError(f"the training DAG of this bench {dag.stopped}")
    tasks = {name: item["state"] for name, item in dag.answer["tasks"].items()}
    if tasks.get("evaluate_model") != "success":
        raise PlatformError(f"the training DAG of this bench has evaluated no model: {tasks}")


def steps_memory(bench: Bench) -> Iterator[Row]:
    """Every step in a process of its own: its peak against that of the whole bare script."""
    bare = bench.child("bare", time_limit=DAG_SECONDS, trials=1, folder=str(bench.world / "bare"))
    for process, names in STEPS.items():
        inputs: dict[str, Any] = {}
        for reference in names:
            name = reference.partition(":")[2]
            call: dict[str, Any] = {
                "step": f"include.{reference}",
                "process": process,
                "inputs": inputs,
                "trials": bench.scale.trials,
            }
            done = bench.child("step", time_limit=DAG_SECONDS, **call)
            detail = (
                f"{done.peak_mb:.0f} MB, {done.seconds:.1f} s (bare script {bare.peak_mb:.0f} MB)"
            )
            yield Row(
                f"peak memory of {process}.{name}",
                done.peak_mb / bare.peak_mb,
                None,
                done.stopped or detail,
            )
            if done.stopped or done.answer["result"].get("accepted") is False:
                break
            inputs[f"include.{reference}"] = done.answer["result"]


def growth(bench: Bench) -> Iterator[Row]:
    """From the smallest to the largest size: by how much time and memory grow for each time that
    the rows do.
    """
    model = str(bench.world / "growth")
    bench.child("model", folder=model, path=str(bench.rows_file(min(bench.scale.growth_rows))))
    for name in ("join_ours", "join_duckdb", "join_polars", "transform", "predict"):
        done: dict[int, Measured] = {}
        for rows in bench.scale.growth_rows:
            done[rows] = bench.child(name, rows=rows, path=str(bench.rows_file(rows)), model=model)
            if done[rows].stopped:
                break
        points = "; ".join(f"{rows:,}: {_point(item)}" for rows, item in done.items())
        whole = {rows: item for rows, item in done.items() if not item.stopped}
        least, most = min(whole), max(whole)
        factor = most / least
        time_ratio = whole[most].seconds / whole[least].seconds / factor
        memory_ratio = whole[most].peak_mb / whole[least].peak_mb / factor
        yield Row(
            f"growth of {name}: time a row, {least:,} to {most:,}", time_ratio, GROWTH_AIM, points
        )
        yield Row(f"growth of {name}: memory a row", memory_ratio, GROWTH_AIM, points)


FEATURE_STEPS = (
    "processes.features:ingest_source",
    "processes.features:validate_data",
    "processes.features:publish_tables",
    "processes.features:compute_features",
)
TRAINING_STEPS = (
    "processes.training:open_run",
    "processes.training:build_snapshot",
    "processes.training:validate_snapshot",
    "processes.training:split_data",
    "processes.training:tune_model",
    "processes.training:train_model",
    "processes.training:evaluate_model",
    "processes.training:check_gates",
    "processes.training:register_model",
)
STEPS = {"features": FEATURE_STEPS, "training": TRAINING_STEPS}
PARTS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "joins": joins,
    "feast": feast,
    "validation": validation,
    "dag": whole_dag,
    "steps": steps_memory,
    "growth": growth,
}


def bench_training(
    *,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="A small part, to see that the bench works; its ratios mean nothing."
        ),
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help=f"Of {', '.join(PARTS)}; may be repeated."),
    ] = None,
) -> None:
    """Measure what training costs: the join, validation, the whole DAG, memory, growth.

    Writes bench/training.json in FLIGHTDECK_HOME; ends with 0 whether or not the aims are reached.
    """
    check_names("part", only or (), list(PARTS))
    bench = Bench(load_settings().home, QUICK if quick else FULL)
    path = bench.folder / ("training-quick.json" if quick else "training.json")
    rows: list[dict[str, Any]] = []
    try:
        bench.prepare()
        for row in chain.from_iterable(
            part(bench) for name, part in PARTS.items() if name in (only or PARTS)
        ):
            rows.append(row.as_json())
            _say(line(row))
            # What is measured is kept, should the rest not be.
            write(path, rows)
    finally:
        shutil.rmtree(bench.world, ignore_errors=True)
    show(rows)
    print(f"Written to {path}")


def _settings(home: Path, scale: Scale) -> Settings:
    home.mkdir(parents=True, exist_ok=True)
    return load_settings(
        {
            "FLIGHTDECK_HOME": str(home),
            "FLIGHTDECK_SAMPLE_SHARE": str(scale.share),
            "FLIGHTDECK_MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow/mlflow.db",
            # No platform runs, so nobody starts a PostgreSQL.
            "FLIGHTDECK_AIRFLOW_DATABASE": "sqlite",
        }
    )


def _overlay(home: Path) -> Path:
    """The specification with a training window of a year."""
    path = home / "overlay.json"
    path.write_text(json.dumps({"flight_delays": {"training": {"window_days": YEAR_DAYS}}}))
    return path


def _first(item: Measured) -> Measured:
    return Measured(float(item.answer["first"]), item.wall, item.peak_mb)


def _point(item: Measured) -> str:
    return item.stopped or f"{item.seconds:.3f} s {item.peak_mb:.0f} MB"


def _listed(values: Mapping[str, float], form: str) -> str:
    return ", ".join(
        f"{name.removeprefix('join_')} {value:{form}}" for name, value in values.items()
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
