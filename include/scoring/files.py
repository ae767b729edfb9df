"""Scoring a Parquet file whose rows hold their features already: streamed, judged as a whole,
written complete or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from include.errors import DataError
from include.files import writing
from include.interval import Interval
from include.model.package import ScoringModel
from include.model.reference import bin_counts
from include.scoring.batch import (
    CHUNK_ROWS,
    ORIGIN_COLUMNS,
    score_rows,
    value_problems,
    with_origin,
)
from include.scoring.publication import score_distribution
from include.scoring.staging import unseen_values
from include.spec import UseCase, feature_types, request_model
from include.tables.casting import Declared, cast_or_refuse


def score_file(
    use_case: UseCase,
    model: ScoringModel,
    version: int,
    source: Path,
    target: Path,
    interval: Interval,
    *,
    chunk_rows: int = CHUNK_ROWS,
) -> dict[str, Any]:
    """Write id, event time, score, decision and origin of every row of `source` to `target`;
    `interval` is what the rows belong to.

    One chunk is in memory at a time. Returns `{"rows", "unseen", "score_psi"}`. Raises `DataError`
    when a column is missing, a score is not sound or the scores are distributed otherwise than
    declared; `target` then stays what it was.
    """
    columns = _columns(use_case, model, source)
    declared = _declared(use_case, columns)
    counts: list[list[int]] = []
    unseen: dict[str, int] = {}
    rows = 0
    with writing(target) as aside:
        with _Writer(aside) as writer:
            for chunk in _chunks(source, columns, chunk_rows):
                typed = cast_or_refuse(chunk, declared, str(source), first_row=rows)
                scored = with_origin(score_rows(model, typed), model, version, interval)
                problems = value_problems(use_case, scored)
                if problems:
                    raise DataError(
                        f"{source}, rows from {rows} on: {'; '.join(problems)}. Nothing is written."
                    )
                rows += scored.height
                counts.append(bin_counts(model.reference["score"], scored["score"].to_numpy()))
                for name, count in unseen_values(model, typed).items():
                    unseen[name] = unseen.get(name, 0) + count
                writer.write(
                    scored.drop(
                        [
                            name
                            for name in columns
                            if name not in (use_case.id_column, use_case.event_time)
                        ]
                    )
                )
        distribution = score_distribution(
            use_case, model, [{"score_counts": part} for part in counts]
        )
        if distribution["judged"] and distribution["score_psi"] > distribution["limit"]:
            raise DataError(
                f"{source}: the scores lie {distribution['score_psi']:.2f} (PSI) from those of the"
                f" model's training, allowed are {distribution['limit']:g}. Nothing is written."
            )
    return {"rows": rows, "unseen": unseen, "score_psi": distribution["score_psi"]}


def _columns(use_case: UseCase, model: ScoringModel, source: Path) -> list[str]:
    needed = list(
        dict.fromkeys([use_case.id_column, use_case.event_time, *model.transform.columns])
    )
    there = pq.read_schema(source).names
    missing = [name for name in needed if name not in there]
    if missing:
        raise DataError(f"{source} lacks the columns {missing}; it needs {needed}.")
    return needed


def _declared(use_case: UseCase, columns: list[str]) -> list[Declared]:
    """What the file's columns must hold: what a request of the same rows must."""
    types = {column.name: column.type for column in request_model(use_case)}
    types |= feature_types(use_case)
    return [Declared(name, types[name], exchanged=True) for name in columns if name in types]


def _chunks(source: Path, columns: list[str], chunk_rows: int) -> Iterator[pl.DataFrame]:
    """The file's chunks; the next one is decoded while one is scored."""
    # Buffering ahead keeps what it has read: the whole file, in the end.
    with (
        pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as file,
        ThreadPoolExecutor(max_workers=1) as reader,
    ):
        batches = file.iter_batches(batch_size=chunk_rows, columns=columns)
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield pl.DataFrame(pa.Table.from_batches([batch]))


class _Writer:
    """A Parquet file that begins with the first chunk, whose schema it takes; a chunk is encoded
    while the next one is scored.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pending: Future[None] | None = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, frame: pl.DataFrame) -> None:
        """Append a chunk; what went wrong with the one before is raised here."""
        if self._pending is not None:
            self._pending.result()
        self._pending = self._thread.submit(self._append, frame)

    def __exit__(self, *_: object) -> None:
        try:
            if self._pending is not None:
                self._pending.result()
        finally:
            self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()

    def _append(self, frame: pl.DataFrame) -> None:
        table = frame.to_arrow()
        if self._writer is None:
            repeated = ["decision", *ORIGIN_COLUMNS]
            self._writer = pq.ParquetWriter(
                self._path,
                table.schema,
                compression="lz4",
                write_page_checksum=True,
                use_dictionary=repeated,
            )
        self._writer.write_table(table)
