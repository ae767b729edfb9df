"""The verdict on one delivery: every table by its declaration, by what was published before it, and
against the champion's data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import polars as pl

from include.files import write
from include.interval import Interval
from include.quality.cross_table import cross_table_failures
from include.quality.data_docs import write_docs
from include.quality.delivery import Delivery
from include.quality.delivery_checks import check_delivery, label_times
from include.quality.landing import read_landed
from include.quality.quarantine import put_aside
from include.quality.references import Champion, references
from include.quality.statistics import describe
from include.quality.validation import Validation, data_verdict, validate
from include.reports import share
from include.spec import Table, UseCase, exchanged_columns
from include.steps import StepContext
from include.tables.completed import is_complete
from include.tables.store import TableStore
from include.verdict import Finding

INGEST = "ingest"
"""The process that publishes rows, as finished intervals are recorded."""


@dataclass(frozen=True)
class Judged:
    """One table's rows and all that was found out about them."""

    frame: pl.DataFrame
    validation: Validation
    findings: list[Finding]
    notes: list[str]
    references: list[str]

    @property
    def failures(self) -> list[Finding]:
        """The rules that the rows break."""
        return [finding for finding in self.findings if not finding.passed]


def judge_delivery(
    context: StepContext,
    versions: Mapping[str, int | None],
    champion: Champion | None,
    champion_failures: Sequence[Finding] = (),
) -> dict[str, Any]:
    """Judge the landed rows (at `versions` of the landing tables), put refused ones aside and write
    the report and the Data Docs.

    `champion` is the version in service, `champion_failures` says why it could not be read. See
    `include.processes.features.validate_data` for the result. Everything is judged, even when the
    first table is refused.
    """
    tables, use_case = TableStore(context.settings.tables_uri), context.use_case
    judged: dict[str, Judged] = {}
    for table in use_case.own_tables:
        frame = read_landed(tables, table, context.interval, versions.get(table.name))
        judged[table.name] = judge_table(context, tables, table, frame, champion)
    frames = {name: part.frame for name, part in judged.items()}
    notes, crossed = cross_table_failures(use_case, tables, frames, context.interval)
    findings = [
        *champion_failures,
        *(finding for part in judged.values() for finding in part.findings),
        *_label_times(use_case, tables, judged, context.interval),
        *_of_other_use_cases(use_case, tables, context.interval),
        *crossed,
    ]
    failures = [finding for finding in findings if not finding.passed]
    verdict: dict[str, Any] = {
        **data_verdict(findings),
        "warnings": [warning for part in judged.values() for warning in part.validation.warnings],
        "notes": [*(note for part in judged.values() for note in part.notes), *notes],
        "references": {name: part.references for name, part in judged.items()},
    }
    verdict["quarantine"] = {
        name: put_aside(
            tables,
            name,
            part.frame,
            context.interval,
            [failure.sentence for failure in failures if failure.subject == name],
        )
        for name, part in judged.items()
        if any(failure.subject == name for failure in failures)
    }
    return _write(context, judged, verdict)


def judge_table(
    context: StepContext,
    tables: TableStore,
    table: Table,
    frame: pl.DataFrame,
    champion: Champion | None,
) -> Judged:
    """One table's rows by its declaration, and against what was published before and the champion's
    training data.
    """
    use_case, interval = context.use_case, context.interval
    # The least number of rows shrinks with the environment's sample share.
    minimum = max(1, ceil(table.minimum_rows * context.settings.sample_share))
    validation = validate(
        table,
        frame,
        window=interval if table.time_column else None,
        minimum_rows=minimum,
        exchanged=exchanged_columns(use_case, table.name),
    )
    frame = validation.frame
    compared, others, failures = references(tables, use_case, table, interval, champion)
    broken = frozenset(failure.part for failure in validation.failures if failure.part)
    judgement = check_delivery(
        Delivery(use_case, table, frame, interval, compared, others, broken), tables
    )
    names = [part.name for part in compared] or ["none: first interval"]
    notes = judgement.notes
    if champion is not None and not champion.is_reference_for(interval):
        notes = [
            *notes,
            (
                f"{table.name}: not compared with champion {champion.version}, whose training data"
                f" begin after this interval ({champion.window.text})"
            ),
        ]
    return Judged(
        frame,
        validation,
        [*validation.findings, *failures, *judgement.failures],
        notes,
        names,
    )


def _label_times(
    use_case: UseCase, tables: TableStore, judged: Mapping[str, Judged], interval: Interval
) -> list[Finding]:
    """Labels of this delivery against the events of this and of all earlier deliveries; nothing
    where another use case writes the labels.
    """
    labels, entities = judged.get(use_case.data_set.label_table), judged.get(use_case.entity_table)
    if labels is None or any(
        failure.part == use_case.data_set.label_time for failure in labels.failures
    ):
        return []
    columns = [use_case.id_column, use_case.event_time]
    sources = []
    if entities is not None and set(columns) <= set(entities.frame.columns):
        sources.append(entities.frame.select(columns))
    if tables.exists(use_case.entity_table):
        sources.append(
            tables.read(
                use_case.entity_table,
                columns=columns,
                where=pl.col(use_case.event_time) < interval.end,
            )
        )
    if len({tuple(frame.schema.items()) for frame in sources}) > 1:
        sources = sources[1:]
    return label_times(use_case, pl.concat(sources), labels.frame) if sources else []


def _of_other_use_cases(use_case: UseCase, tables: TableStore, interval: Interval) -> list[Finding]:
    """A table that another use case writes was validated there, if the interval is published."""
    return [
        Finding(
            rule="published by its use case",
            subject=table.name,
            passed=is_complete(tables, table.written_by, INGEST, interval),
            reason=f"{table.written_by} must have published {interval.label}",
        )
        for table in use_case.tables
        if table.written_by is not None
    ]


def _write(
    context: StepContext, judged: Mapping[str, Judged], verdict: dict[str, Any]
) -> dict[str, Any]:
    folder = (
        context.settings.reports_dir / "validation" / context.use_case.name / context.interval.label
    )
    results = {name: part.validation.document for name, part in judged.items()}
    docs = write_docs(
        folder / "data_docs",
        f"{context.use_case.title}: {context.interval.text}",
        results,
        verdict,
    )
    report = folder / "validation.json"
    complete = {**verdict, "report": str(report), "data_docs": str(docs)}
    facts = {
        name: {
            "rows": part.frame.height,
            "statistics": describe(part.frame),
            "great_expectations": part.validation.result,
        }
        for name, part in judged.items()
    }
    content = {
        "use_case": context.use_case.name,
        "interval": context.interval.as_json(),
        **complete,
        "tables": facts,
    }
    write(report, json.dumps(content, indent=2, default=str))
    share(context.settings, folder)
    return complete
