"""What many use cases, many workers and large training sets cost, in a project that is thrown away.

Parts: `parsing` (DAG files by the processor's own function), `scheduler` (a whole Airflow over
them), `endpoint` (one process with many models), `workers` (batch scoring by several processes) and
`training` (external memory and a cluster beside memory).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.tables import print_table
from include.settings import Settings, load_settings
from proofs.bench.figure import Caught, Figure
from proofs.bench.measure import Measured, run_child
from proofs.bench.rows import RESULTS, write
from proofs.bench.scale.project import project_environment, project_settings, write_project
from proofs.choices import check_names

FILE_AIM = 0.025
"""Seconds of a processor for the DAGs of one use case."""
LINEAR_AIM = 1.2
METRIC_AIM = 0.01
DAGS_OF_A_CASE = 7
TIME_LIMIT = 3600.0
BARE_FORKS = 3


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    parsed: tuple[int, ...]
    scheduled: tuple[int, ...]
    served: tuple[int, ...]
    loaded: int
    workers: tuple[int, ...]
    partition_rows: int
    training_rows: int


LOADED = Settings.model_fields["serving_loaded_models"].default
FULL = Scale(
    parsed=(1, 10, 100, 1_000),
    scheduled=(1, 10, 100, 1_000),
    served=(1, 10, 100),
    loaded=LOADED,
    workers=(1, 2, 4),
    partition_rows=300_000,
    training_rows=1_000_000,
)
QUICK = Scale(
    parsed=(1, 5),
    scheduled=(1,),
    served=(1, 2),
    loaded=1,
    workers=(1, 2),
    partition_rows=20_000,
    training_rows=20_000,
)


class Project:
    """A project of some use cases, and how to measure in it."""

    def __init__(self, root: Path, use_cases: int, plain: int) -> None:
        self.root = write_project(root, use_cases=use_cases, plain=plain)
        self._settings = project_settings(root)
        self.environment = project_environment(root, self._settings)

    def child(self, task: str, **arguments: Any) -> Measured:
        """Measure once."""
        shown = " ".join(f"{name}={value}" for name, value in arguments.items())
        print(f"  {task} {shown[:80]}", flush=True)
        return run_child(
            task,
            arguments,
            self.environment,
            time_limit=TIME_LIMIT,
            memory_limit_mb=16_000,
            project=self.root,
        )


def bench_scale(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small part, to see that the bench works.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="A part of the bench; may be repeated."),
    ] = None,
) -> None:
    """Measure what many use cases, many workers and large training sets cost.

    Writes bench/scale.json in FLIGHTDECK_HOME; ends with 0 whether or not the aims are reached.
    """
    check_names("part", only or (), list(PARTS))
    home = load_settings().home / "bench"
    path = home / ("scale-quick.json" if quick else "scale.json")
    figures: list[Figure] = []
    # A part that is measured alone replaces its own figures.
    earlier = json.loads(path.read_text()) if only and path.is_file() else []
    for name in only or PARTS:
        for figure in PARTS[name](QUICK if quick else FULL):
            figures.append(figure)
            # What is measured is kept, should the rest not be.
            write(path, merged(earlier, figures))
    show(figures)
    print(f"Written to {path}")


def merged(earlier: Sequence[dict[str, Any]], figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """What was measured earlier, but for the figures that have been measured since, and these."""
    names = {figure.name for figure in figures}
    others = [figure for figure in earlier if figure["name"] not in names]
    return [*others, *(figure.as_json() for figure in figures)]


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    print_table(
        "Many use cases, many workers, large training sets",
        ("figure", "value", "aim", "result", "detail"),
        (
            (
                figure.name,
                f"{figure.value:.4g}",
                "-" if figure.aim is None else f"{figure.aim:g}",
                RESULTS[figure.reached],
                figure.detail,
            )
            for figure in figures
        ),
        prose=("figure", "detail"),
    )


@contextmanager
def project(use_cases: int = 0, plain: int = 0) -> Iterator[Project]:
    """A project that is removed at the end, in a folder that Airflow's sockets can be named in."""
    folder = Path(tempfile.mkdtemp(prefix="scale-"))
    try:
        yield Project(folder / "project", use_cases, plain)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def parsing(scale: Scale) -> Iterator[Figure]:
    """Seconds of a processor a use case, and whether the last ones cost what the first did."""
    most = max(scale.parsed)
    with project(most) as where:
        measured = where.child("scale_parse", counts=list(scale.parsed), bare=BARE_FORKS)
    each, answer = measured.answer["each"], measured.answer
    for count in scale.parsed:
        used = sum(each[:count])
        yield Figure(
            f"parsing, {count:,} use cases: s a use case in one process",
            used / count,
            FILE_AIM,
            f"{used:.2f} s of a processor for {count * answer['dags']:,} DAGs; memory grows by"
            f" {answer['memory'][str(count)] - answer['memory']['0']:.1f} MB",
        )
    part = max(1, most // 10)
    first, last = statistics.median(each[:part]), statistics.median(each[-part:])
    yield Figure(
        "parsing: the last tenth of the use cases over the first",
        last / first,
        LINEAR_AIM,
        f"medians of {part:,}: {1000 * last:.1f} ms over {1000 * first:.1f} ms",
    )
    yield Figure(
        f"parsing: s until the declarations of {most:,} use cases are checked",
        answer["checked"],
        None,
        "in a process beside it, once per change; the first parse of all files included",
    )
    forked, bare = (statistics.median(answer[name]) for name in ("forked", "bare"))
    yield Figure(
        "parsing: s a use case in a fork, as the DAG processor does",
        forked,
        FILE_AIM,
        f"median of {len(answer['forked'])}; {bare:.2f} s without the shared code loaded, which"
        f" takes {answer['loading']:.1f} s once",
    )


def scheduler(scale: Scale) -> Iterator[Figure]:
    """A whole Airflow over so many use cases, none of which is due."""
    for count in scale.scheduled:
        with project(count) as where:
            measured = where.child(
                "scale_schedule", dags=count * DAGS_OF_A_CASE, seconds=TIME_LIMIT / 2
            )
        answer, name = measured.answer, f"Airflow, {count:,} use cases"
        yield Figure(f"{name}: s until all are there", answer["parsed"], None, "after its start")
        yield Figure(
            f"{name}: s from asking for a run to its task in the queue",
            answer["lag"],
            None,
            "median of five runs of a DAG beside them",
        )
        yield Figure(f"{name}: MB", answer["memory"], None, "proportional, all its processes")


def endpoint(scale: Scale) -> Iterator[Figure]:
    """One endpoint process with the models of so many use cases."""
    for count in scale.served:
        with project(plain=count) as where:
            answer = where.child("scale_serve", count=count, loaded=scale.loaded).answer
        name = f"endpoint, {count:,} models"
        yield Figure(
            f"{name}: s until each can be asked",
            answer["next"],
            None,
            f"after a restart; {answer['first']:.1f} s the first time, when each is tried in a"
            " process of its own",
        )
        yield Figure(
            f"{name}: s until as many are loaded as may be",
            answer["loaded_after"],
            None,
            f"{answer['loaded']} of them",
        )
        yield Figure(
            f"{name}: MB",
            answer["memory"],
            None,
            f"the worker's own, {answer['loaded']} of them loaded;"
            f" {answer['memory_after']:.0f} MB when all had been asked",
        )
        yield Caught(
            f"{name}: share that answers, each asked in turn",
            answer["answered"] / count,
            1.0,
            f"{answer['answered']} of {count}, at most {scale.loaded} of them loaded at a time",
        )
        if answer["slow"] is not None:
            yield Figure(
                f"{name}: s of the first answer of one that is not loaded",
                answer["slow"],
                None,
                f"median, at most {answer['slowest']:.2f} s; {answer['quick']:.4f} s when it is",
            )


def workers(scale: Scale) -> Iterator[Figure]:
    """Rows a second of so many processes that each score a partition, over those of one."""
    with project(plain=1) as where:
        made = where.child("scale_partition", rows=scale.partition_rows).answer
        alone = 0.0
        for count in scale.workers:
            rate = _rate(where, made, count)
            alone = alone or rate
            yield Figure(
                f"batch scoring, {count} workers: work done over that of one",
                rate / alone,
                None,
                f"{rate:,.0f} rows/s, partitions of {scale.partition_rows:,} rows, one thread each,"
                f" {os.cpu_count()} processors",
            )


def _rate(where: Project, made: dict[str, Any], count: int) -> float:
    ready = where.root / f"ready-{count}"
    ready.mkdir()
    with ThreadPoolExecutor(count) as pool:
        done = [
            future.result().answer
            for future in [
                pool.submit(
                    where.child,
                    "scale_score",
                    worker=number,
                    workers=count,
                    ready=str(ready),
                    **made,
                )
                for number in range(count)
            ]
        ]
    seconds = max(one["ended"] for one in done) - min(one["began"] for one in done)
    return float(sum(one["rows"] for one in done) / seconds)


def training(scale: Scale) -> Iterator[Figure]:
    """The three ways to fit over one table."""
    with project(plain=1) as where:
        made = where.child("scale_rows", rows=scale.training_rows).answer
        fits = {
            way: where.child("scale_fit", way=way, **made)
            for way in ("memory", "external_memory", "dask")
        }
    memory = fits.pop("memory")
    base = memory.answer["metrics"]
    size = f"{scale.training_rows:,} rows"
    yield Figure(f"training in memory, {size}: MB", memory.peak_mb, None, f"{memory.seconds:.1f} s")
    for way, measured in fits.items():
        metrics = measured.answer["metrics"]
        name = f"training, {way}, {size}"
        yield Figure(
            f"{name}: memory over that in memory",
            measured.peak_mb / memory.peak_mb,
            1.0,
            f"{measured.peak_mb:,.0f} MB, the largest process",
        )
        yield Figure(
            f"{name}: seconds over those in memory",
            measured.seconds / memory.seconds,
            None,
            f"{measured.seconds:.1f} s",
        )
        differences = {key: abs(metrics[key] - base[key]) for key in base if key != "n"}
        largest = max(differences, key=lambda key: differences[key])
        yield Figure(
            f"{name}: largest difference of a metric",
            differences[largest],
            METRIC_AIM,
            f"{largest}: {metrics[largest]:.4f}, in memory {base[largest]:.4f}",
        )


PARTS: dict[str, Callable[[Scale], Iterator[Figure]]] = {
    "parsing": parsing,
    "scheduler": scheduler,
    "endpoint": endpoint,
    "workers": workers,
    "training": training,
}
