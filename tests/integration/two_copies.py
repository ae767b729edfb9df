"""Two processes that run the same step at the same moment, as Airflow may after a crash of its
scheduler.
"""

from __future__ import annotations

import gc
import multiprocessing
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from include.settings import Settings, load_settings
from include.spec import Release, UseCase
from include.steps import RunInfo, StepContext, call_after, load_step
from include.use_cases.flight_delays.spec import USE_CASE
from proofs.harness.home import BUSY_MACHINE
from tests.unit.features.world import MONTHS
from tests.unit.model.synthetic import under_limits

TRIALS = 2
ANSWER_SECONDS = 240.0


def flights() -> UseCase:
    """The flights with a quick training that passes its gates, a direct release, and several
    partitions a month.
    """
    limits = {"min_auc": 0.52, "max_slice_auc_drop": 0.5, "minimum_rows": 100, **BUSY_MACHINE}
    easy = under_limits(USE_CASE, **limits)
    return easy.model_copy(
        update={
            "training": easy.training.model_copy(update={"trials": TRIALS, "boost_rounds": 20}),
            "slices": (),
            "release": Release(),
            "batch": easy.batch.model_copy(update={"partition_rows": 1500}),
            "serving": easy.serving.model_copy(update={"max_smoke_ms": 10_000.0}),
        }
    )


def settings_of(home: Path, serving_url: str = "") -> Settings:
    """Everything below `home`, MLflow without a server."""
    values = {
        "FLIGHTDECK_ENV": "test",
        "FLIGHTDECK_HOME": str(home),
        "FLIGHTDECK_MLFLOW_TRACKING_URI": f"sqlite:///{home}/mlflow.db",
        "FLIGHTDECK_SAMPLE_SHARE": "0.1",
    }
    return load_settings(
        {**values, **({"FLIGHTDECK_SERVING_URL": serving_url} if serving_url else {})}
    )


def context_of(settings: Settings, process: str, start: int, end: int) -> StepContext:
    """The months from `start` to before `end` of 2013, in the run of their process."""
    from include.interval import Interval

    run = RunInfo(process, f"{process}-1", "manual", "ann", params={"reason": "both at once"})
    interval = Interval(MONTHS[start - 1], MONTHS[end - 1])
    return StepContext(flights(), settings, interval, run)


class TwoCopies:
    """Both processes; `run` gives both results of a step."""

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def run(
        self, step: str, where: tuple[Any, ...], earlier: Mapping[str, Any], **supplied: Any
    ) -> list[dict[str, Any]]:
        """The results as JSON; an `AssertionError` holds the traceback of what failed."""
        for pipe in self._pipes:
            pipe.send((step, where, dict(earlier), supplied))
        answers = []
        for pipe in self._pipes:
            assert pipe.poll(ANSWER_SECONDS), f"{step} does not answer"
            answers.append(pipe.recv())
        for failure, _ in answers:
            assert not failure, f"{step}: {failure}"
        return [result for _, result in answers]


@contextmanager
def two_copies() -> Iterator[TwoCopies]:
    """Two fresh processes."""
    spawn = multiprocessing.get_context("spawn")
    barrier, pipes, processes = spawn.Barrier(2), [], []
    for _ in range(2):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_serve, args=(theirs, barrier), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    try:
        yield TwoCopies(pipes)
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.close()
            process.join(20)
            process.kill()


def _serve(pipe: Connection, barrier: Barrier) -> None:
    warnings.simplefilter("ignore")
    gc.set_threshold(50_000, 20, 50)  # as in the tests' own process
    while True:
        try:
            step, (home, serving_url, *where), earlier, supplied = pipe.recv()
        except EOFError:
            return
        try:
            context = context_of(settings_of(Path(home), serving_url), *where)
            load_step(step)
            barrier.wait(ANSWER_SECONDS)
            pipe.send(("", call_after(load_step(step), context, earlier, **supplied).as_json()))
        except BaseException:  # noqa: BLE001  # whatever it is, the test shows it
            pipe.send((traceback.format_exc(), {}))
