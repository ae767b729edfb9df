"""The group `flightdeck bench`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from cli.lazy import Command, LazyGroup, new_application

COMMANDS: dict[str, Command] = {
    "training": Command(
        "proofs.bench.training.main:bench_training",
        "Measure what training costs: the join, validation, the whole DAG, memory, growth.",
        "Commands",
    ),
    "serving": Command(
        "proofs.bench.serving.main:bench_serving",
        "Measure the endpoint beside what serves the same model otherwise, and batch scoring.",
        "Commands",
    ),
    "batch": Command(
        "proofs.bench.batch.main:bench_batch",
        "Measure batch scoring against raw prediction over the same file.",
        "Commands",
    ),
    "database": Command(
        "proofs.bench.database.main:bench_database",
        "Measure Airflow on SQLite and on PostgreSQL: back-fills, tasks, start, idle costs.",
        "Commands",
    ),
    "release": Command(
        "proofs.bench.release.main:bench_release",
        "Simulate rollouts on the shipped analysis: how often wrong, how soon right.",
        "Commands",
    ),
    "monitoring": Command(
        "proofs.bench.monitoring.main:bench_monitoring",
        "State how often monitoring is wrong and how soon it is right, beside what others do.",
        "Commands",
    ),
    "scale": Command(
        "proofs.bench.scale.main:bench_scale",
        "Measure what hundreds of use cases, workers and large training sets cost.",
        "Commands",
    ),
    "defaults": Command(
        "proofs.bench.defaults.main:bench_defaults",
        "Validate public histories by the scaffold's limits: honest ones refused, faults caught.",
        "Commands",
    ),
}


class Bench(LazyGroup):
    """The benches."""

    lazy_commands: ClassVar[Mapping[str, Command]] = COMMANDS


application = new_application(cls=Bench, no_args_is_help=True)


@application.callback()
def _bench() -> None:
    """Measure what the product costs, and how often its releases, its monitoring and its limits
    are wrong.
    """
