"""Scored partitions before they are published: one small Delta table each, complete or not there,
and found again after a kill.

They lie below `<use_case>/staging/<scoring>/` beside the tables, where every worker reaches them. A
summary is kept in the same commit as the rows, so that what is checked before publication never
needs them in memory.

Of several copies of a scoring, whoever is writing or reading partitions of the interval holds them
in use (`staged_in_use`), and the last one to publish removes them. The lock is the kernel's and
orders the processes that share a home; a copy on another host that misses what was removed fails,
and its next try stages it again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.errors import DataError
from include.files import locked, shared
from include.interval import Interval
from include.model.package import ScoringModel
from include.model.reference import bin_counts
from include.scoring.batch import content_columns
from include.settings import Settings
from include.spec import UseCase
from include.tables.commits import Commit, last_note, overwrite
from include.tables.fence import committing
from include.tables.store import TableStore
from include.tables.types import as_stored

METADATA = "flightdeck.partition"
SEEDS = (1, 2)
REMOVAL_SECONDS = 300.0
"""How long removing the staged partitions of an interval may take."""
USE_SECONDS = 5.0
"""How long removing waits for other copies; what these still use, they remove."""

LOG = logging.getLogger(__name__)


def staging_folder(use_case: UseCase) -> str:
    """Name of the folder of all staged partitions, below the tables' root."""
    return f"{use_case.name}/staging"


def staged_table(use_case: UseCase, scoring: str, number: int) -> str:
    """Name of the table of one staged partition."""
    return f"{staging_folder(use_case)}/{scoring}/{number:05d}"


def stage(
    use_case: UseCase,
    tables: TableStore,
    scoring: str,
    predictions: pl.DataFrame,
    summary: Mapping[str, Any],
) -> None:
    """Write a partition and its summary in one commit, unless another copy of the step has staged
    it meanwhile; what an attempt left without a summary is replaced.
    """
    commit = Commit(METADATA, json.dumps(summary), mark=(METADATA, 1))
    name = staged_table(use_case, scoring, summary["number"])

    def attempt() -> None:
        if staged_summary(use_case, tables, scoring, summary["number"]) is not None:
            return
        overwrite(tables, name, predictions.to_arrow(), commit)

    committing(tables.uri(name), attempt)
    tables.make_durable(name)


def staged_summary(
    use_case: UseCase, tables: TableStore, scoring: str, number: int
) -> dict[str, Any] | None:
    """The summary of a partition that is already there; `None` when it is not."""
    name = staged_table(use_case, scoring, number)
    if not tables.exists(name):
        return None
    recorded = last_note(tables, name, METADATA)
    return None if recorded is None else json.loads(recorded)


@contextmanager
def staged_in_use(settings: Settings, use_case: UseCase, interval: Interval) -> Iterator[None]:
    """Keep the interval's staged partitions where they are, together with other copies that do.

    Raises `DataError` when another copy has been removing them for `REMOVAL_SECONDS`.
    """
    try:
        with shared(_lock(settings, use_case, interval), seconds=REMOVAL_SECONDS):
            yield
    except TimeoutError as error:
        raise DataError(
            f"{use_case.name}: another scoring of {interval.text} removes what was staged and does"
            f" not end ({error}). End it, or run the task again later."
        ) from error


def discard_staged(
    settings: Settings, use_case: UseCase, tables: TableStore, interval: Interval
) -> None:
    """Remove the partitions of every scoring of the interval: also of those that were killed and
    then overtaken by another model. Where another copy uses them they stay, and it removes them
    when it has published.
    """
    try:
        with locked(_lock(settings, use_case, interval), seconds=USE_SECONDS):
            folder = staging_folder(use_case)
            for name in tables.below(folder):
                if name.startswith(f"{folder}/{interval.label}."):
                    tables.remove(name)
    except TimeoutError:
        LOG.info("Another copy uses the staged partitions of %s and removes them.", interval.text)


def _lock(settings: Settings, use_case: UseCase, interval: Interval) -> Path:
    return settings.home / "locks" / f"staging-{use_case.name}-{interval.label}.lock"


def summarise(
    use_case: UseCase, model: ScoringModel, number: int, predictions: pl.DataFrame
) -> dict[str, Any]:
    """What publication and its checks need to know about a partition, as JSON.

    `score_counts` are rows per bin of the model's reference, `unseen` values per category input
    that the model does not know.
    """
    scores = predictions["score"].to_numpy()
    return {
        "number": number,
        "rows": predictions.height,
        "content": content_digest(use_case, predictions),
        "positive": int(predictions["decision"].sum() or 0),
        "score_sum": float(scores.sum()),
        "score_counts": bin_counts(model.reference["score"], scores),
        "unseen": unseen_values(model, predictions),
    }


def unseen_values(model: ScoringModel, frame: pl.DataFrame) -> dict[str, int]:
    """`FeatureTransform.unseen` of a frame, without a Python object per value."""
    counts: dict[str, int] = {}
    for item in model.transform.inputs:
        if item.kind == "category":
            values = frame[model.transform.column(item)].drop_nulls()
            counts[item.name] = len(values) - int(
                values.is_in(list(model.transform.categories[item.name])).sum()
            )
    return counts


def content_digest(use_case: UseCase, predictions: pl.DataFrame) -> str:
    """Two 64-bit sums of row hashes over `content_columns`, and the number of rows: equal for the
    same rows in any order.

    It notices a difference, nothing more: it is no signature, and it is only comparable between
    equal versions of Polars.
    """
    content = as_stored("predictions", predictions.select(content_columns(use_case)))
    sums = [int(content.hash_rows(seed=seed).to_numpy().sum(dtype=np.uint64)) for seed in SEEDS]
    return "-".join([f"{value:016x}" for value in sums] + [str(content.height)])
