"""From scored partitions to the interval's predictions: judged as a whole, then published in one
commit or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl

from include.errors import DataError, LateStep, TableNotFound
from include.interval import Interval
from include.model.package import ScoringModel
from include.model.reference_check import checked_reference
from include.scoring.batch import content_columns, prediction_columns, predictions_table
from include.scoring.plan import partition_interval, publication_mark, publications
from include.scoring.staging import content_digest, staged_table
from include.spec import UseCase
from include.stats.psi import psi
from include.tables.commits import Commit, overwrite
from include.tables.fence import Overtaken, committing
from include.tables.store import TableStore, TableVersion, WriteFailed, in_window

if TYPE_CHECKING:
    import pyarrow as pa

METADATA = "flightdeck.scoring"


def judge(
    use_case: UseCase,
    model: ScoringModel,
    plan: Mapping[str, Any],
    summaries: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Raise `DataError` unless every planned partition is there, with all its rows, and the scores
    are distributed as declared.

    Returns `{"score_psi", "limit", "judged"}`; without `minimum_rows` the distribution is measured
    and not judged.
    """
    planned = {part["number"]: part["rows"] for part in plan["partitions"]}
    scored = {summary["number"]: summary["rows"] for summary in summaries}
    problems = [
        f"partition {number} is missing" for number in sorted(planned.keys() - scored.keys())
    ]
    problems += [
        f"partition {number} holds {rows} predictions for {planned.get(number, 0)} rows"
        for number, rows in sorted(scored.items())
        if rows != planned.get(number)
    ]
    if len(summaries) != len(scored):
        problems.append("a partition comes more than once")
    verdict = score_distribution(use_case, model, summaries)
    if verdict["judged"] and verdict["score_psi"] > verdict["limit"]:
        problems.append(
            f"the scores lie {verdict['score_psi']:.2f} (PSI) from those of the model's training,"
            f" allowed are {verdict['limit']:g}: the model reads something else than it was trained"
            " on. Look at the inputs; where the change is real, raise batch.max_score_psi"
        )
    if problems:
        raise DataError(
            f"{use_case.name}: the predictions are not published: {'; '.join(problems)}. The table"
            " keeps its former rows."
        )
    return verdict


def score_distribution(
    use_case: UseCase, model: ScoringModel, summaries: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """How far the scores of all partitions together lie from the reference of the model's
    package.
    """
    expected = checked_reference(model)["score"]["shares"]
    counts = [
        sum(column)
        for column in zip(*(summary["score_counts"] for summary in summaries), strict=True)
    ] or [0] * len(expected)
    rows = sum(counts)
    distance = psi(expected, [count / rows for count in counts]) if rows else 0.0
    return {
        "score_psi": distance,
        "limit": use_case.batch.max_score_psi,
        "judged": rows >= use_case.batch.minimum_rows,
    }


def publish(
    use_case: UseCase,
    tables: TableStore,
    plan: Mapping[str, Any],
    summaries: Sequence[Mapping[str, Any]],
    run_id: str,
) -> tuple[TableVersion, bool]:
    """Make the staged partitions the interval's predictions in one commit; the table's version, and
    whether anything changed.

    Where the table holds the same rows already it stays as it is, with the lineage of the run that
    wrote them; they are a change where they came since the plan was made. One partition at a time
    is in memory. Raises `DataError` when a staged partition is not what its summary says,
    `LateStep` when others have published the interval since the plan.
    """
    name, interval = predictions_table(use_case), Interval.parse(**plan["interval"])
    rows = sum(summary["rows"] for summary in summaries)
    by_number = {summary["number"]: summary for summary in summaries}
    if _unchanged(use_case, tables, plan, by_number):
        # The attempt that wrote them may have been killed before they were on the disk.
        tables.make_durable(name)
        changed = publications(use_case, tables, interval) > (plan.get("publications") or 0)
        return TableVersion(name, tables.uri(name), tables.version(name), rows), changed

    def attempt() -> None:
        try:
            _write(use_case, tables, plan, by_number, run_id, interval)
        except (DataError, Overtaken):
            # Another copy of this step may have published the same rows meanwhile, and removed what
            # was staged.
            if not _unchanged(use_case, tables, plan, by_number):
                raise

    committing(tables.uri(name), attempt)
    tables.make_durable(name)
    return TableVersion(name, tables.uri(name), tables.version(name), rows), True


def _unchanged(
    use_case: UseCase,
    tables: TableStore,
    plan: Mapping[str, Any],
    summaries: Mapping[int, Mapping[str, Any]],
) -> bool:
    name, content = predictions_table(use_case), content_columns(use_case)
    if not tables.exists(name) or not set(content) <= {
        field.name for field in tables.open(name).schema().fields
    }:
        return False
    for partition in plan["partitions"]:
        part = partition_interval(partition)
        published = tables.read(
            name, columns=content, where=in_window(use_case.event_time, part.start, part.end)
        )
        if content_digest(use_case, published) != summaries[partition["number"]]["content"]:
            return False
    return True


def _write(
    use_case: UseCase,
    tables: TableStore,
    plan: Mapping[str, Any],
    summaries: Mapping[int, Mapping[str, Any]],
    run_id: str,
    interval: Interval,
) -> None:
    import pyarrow as pa

    name = predictions_table(use_case)
    published = publications(use_case, tables, interval)
    _check_fence(plan, published, run_id)
    lineage = {
        key: plan[key]
        for key in ("scoring", "interval", "version", "digest", "mlflow_run_id", "sources")
    }
    commit = Commit(
        METADATA,
        json.dumps({**lineage, "run_id": run_id}),
        mark=(publication_mark(interval), published + 1),
    )
    failures: list[DataError] = []
    # Delta's reader cannot run in the thread in which Delta's writer asks for the next rows.
    with ThreadPoolExecutor(max_workers=1) as reader:
        read = partial(_staged_table, use_case, tables, plan, run_id)
        parts = (
            reader.submit(read, summaries[part["number"]]).result() for part in plan["partitions"]
        )
        first = next(parts)
        batches = pa.RecordBatchReader.from_batches(
            first.schema, _batches(chain([first], parts), failures)
        )
        window = (use_case.event_time, interval.start, interval.end)
        try:
            overwrite(tables, name, batches, commit, window)
        except Overtaken:
            raise
        except WriteFailed as error:
            raise (failures[0] if failures else error) from error


def _check_fence(plan: Mapping[str, Any], published: int, run_id: str) -> None:
    planned = plan.get("publications")
    if planned is not None and published > planned:
        raise LateStep(
            f"publish_predictions of run {run_id} is late: {published - planned} newer publications"
            f" of {plan['interval']} came since it was planned. Nothing was published; start a new"
            " run if the interval should be scored again."
        )


def _batches(parts: Iterator[pa.Table], failures: list[DataError]) -> Iterator[pa.RecordBatch]:
    """Delta's writer turns what is raised here into an error of its own: what it was is noted in
    `failures`.
    """
    try:
        for part in parts:
            yield from part.to_batches()
    except DataError as error:
        failures.append(error)
        raise


def _staged_table(
    use_case: UseCase,
    tables: TableStore,
    plan: Mapping[str, Any],
    run_id: str,
    summary: Mapping[str, Any],
) -> pa.Table:
    """One staged partition with its lineage, compared with its summary."""
    staged = staged_table(use_case, plan["scoring"], summary["number"])
    try:
        frame = tables.read(staged)
    except (TableNotFound, OSError) as error:  # not there, or removed while it was read
        raise DataError(
            f"{staged} is gone; score the partition again (clear its task score_partition)."
        ) from error
    if content_digest(use_case, frame) != summary["content"]:
        raise DataError(
            f"{staged} does not hold the rows that were scored; remove it and score the partition"
            " again."
        )
    lineage = {
        "scoring_run": run_id,
        "source_versions": json.dumps(plan["sources"], sort_keys=True),
    }
    origin = (pl.lit(value).alias(column) for column, value in lineage.items())
    return frame.with_columns(origin).select(prediction_columns(use_case)).to_arrow()
