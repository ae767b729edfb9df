"""What is known of the data: the data set and its version, and the verdicts on what was delivered
and trained on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from include.data_sets.versions import DataSetVersion, versions
from include.evidence.records import (
    Evidence,
    Lack,
    RecordFile,
    Withheld,
    csv_file,
    finding,
    json_file,
    missing,
    sentences,
    without_rows,
)
from include.evidence.scope import Scope, sha256
from include.governance.annotations import current
from include.interval import Interval
from include.quality.summaries import SUMMARY_FILE
from include.reports import read_report
from include.spec import DataSet
from include.tables.completed import intervals_table
from include.verdict import Finding

INGEST = "ingest"
VALIDATION = "validation/validation.json"
UNDECLARED = "not declared"
WHY_WITHHELD = "may hold values of single rows"
FAILURE = ("table", "column", "rule", "expected")


def data(scope: Scope) -> Iterator[Evidence]:
    """The kinds of evidence about data."""
    yield _data_set(scope)
    yield _training_set(scope)
    yield _deliveries(scope)


def shown_verdict(document: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict on data without what may be a row: which rules broke, not on which values."""
    tables = document.get("tables") or {"training set": document}
    return {
        "accepted": document.get("accepted"),
        "failures": [_failure(failure) for failure in document.get("failures", [])],
        "warnings": len(document.get("warnings", [])),
        "notes": len(document.get("notes", [])),
        "references": document.get("references", {}),
        "tables": {
            name: {
                "rows": facts.get("rows"),
                "great_expectations": without_rows(facts.get("great_expectations")),
            }
            for name, facts in tables.items()
        },
    }


def _failure(failure: Mapping[str, Any]) -> dict[str, Any]:
    observed = failure.get("observed")
    number = isinstance(observed, int | float)
    return {
        **{name: failure.get(name) for name in FAILURE},
        "observed": observed if number else "left out: it may name values",
    }


def _data_set(scope: Scope) -> Evidence:
    record, name = scope.record, scope.use_case.name
    built = (
        next((part for part in versions(scope.tables) if _is(part, record.snapshot)), None)
        if record is not None
        else None
    )
    if record is None or built is None:
        return missing(
            "data_set", "the version of the data set", f"train again: flightdeck train {name}"
        )
    declaration = record.specification.training_data
    remarks = [item.as_json() for item in current(scope.tables, "data_set", built.name)]
    document = {
        "version": {**built.__dict__, "window": built.window.as_json()},
        "declaration": declaration.model_dump(mode="json"),
        "remarks": remarks,
    }
    source = f"table data_sets/versions, {built.name}"
    withheld = (
        (scope.withheld(SUMMARY_FILE, WHY_WITHHELD),) if SUMMARY_FILE in scope.run_files else ()
    )
    return Evidence(
        "data_set",
        exists=True,
        files=(json_file("data/data-set.json", document, source),),
        facts=(
            (
                f"{built.name}, {built.rows:,} rows, digest {built.digest[:16]},"
                f" {declaration.sensitivity}."
            ),
        ),
        lacks=tuple(_undeclared(declaration, name)),
        withheld=withheld,
    )


def _is(version: DataSetVersion, snapshot: Any) -> bool:
    return (version.table, version.version, version.digest) == (
        snapshot.name,
        snapshot.version,
        snapshot.digest,
    )


def _undeclared(declaration: DataSet, use_case: str) -> Iterator[Lack]:
    how = f"declare DataSet({{}}=...) in use_cases/{use_case}/spec.py and train again"
    if declaration.licence in ("", UNDECLARED):
        yield Lack("the licence of the data", how.format("licence"))
    if not declaration.limits:
        yield Lack("what the data cannot tell", how.format("limits"))


def _training_set(scope: Scope) -> Evidence:
    document = scope.run_json(VALIDATION)
    if document is None:
        return missing(
            "training_set",
            "the verdict on the training set",
            f"flightdeck train {scope.use_case.name} validates it",
        )
    source = f"{scope.run_source}, {VALIDATION}"
    findings: tuple[Finding, ...] = ()
    if document.get("accepted") is not True:
        rules = sentences(sorted({str(item.get("rule")) for item in document["failures"]}))
        text = f"The training set did not pass its validation: {rules}."
        findings = (finding("training_set", scope.name, text),)
    return Evidence(
        "training_set",
        exists=True,
        files=(json_file("data/training-set.json", shown_verdict(document), source),),
        facts=(f"{document.get('rows', 0):,} rows were validated.",),
        findings=findings,
        withheld=(scope.withheld(VALIDATION, WHY_WITHHELD),),
    )


def _deliveries(scope: Scope) -> Evidence:
    """The verdict on every interval that was published, of the training's window and the period."""
    published = _published(scope)
    how = f"flightdeck backfill {scope.use_case.name} ingests and validates"
    if not published:
        return missing("deliveries", "intervals that were ingested", how)
    files: list[RecordFile] = []
    withheld: list[Withheld] = []
    lost, failed = [], []
    for interval in published:
        path = f"validation/{scope.use_case.name}/{interval.label}/validation.json"
        content = read_report(scope.settings, path)
        if content is None:
            lost.append(interval.text)
            continue
        source = f"reports/{path}"
        document = json.loads(content)
        if document.get("accepted") is not True:
            failed.append(interval.text)
        name = f"data/deliveries/{interval.label}.json"
        files.append(json_file(name, shown_verdict(document), source))
        withheld.append(Withheld(path, sha256(content), len(content), source, WHY_WITHHELD))
    lacks = (Lack(f"the verdict on {sentences(lost)}", how),) if lost else ()
    findings: tuple[Finding, ...] = ()
    if failed:
        text = f"The newest delivery of {sentences(failed)} was refused by its rules."
        findings = (finding("deliveries", scope.use_case.name, text, len(failed)),)
    return Evidence(
        "deliveries",
        exists=bool(files),
        files=(*files, _intervals_file(scope)),
        facts=(f"{len(files)} of {len(published)} published intervals have their verdict.",),
        lacks=lacks,
        findings=findings,
        withheld=tuple(withheld),
    )


def _published(scope: Scope) -> list[Interval]:
    name = intervals_table(scope.use_case.name)
    if not scope.tables.exists(name):
        return []
    rows = scope.tables.read(name, where=pl.col("process") == INGEST)
    intervals = {Interval(row["interval_start"], row["interval_end"]) for row in rows.to_dicts()}
    return sorted(
        (part for part in intervals if _matters(scope, part)), key=lambda part: part.start
    )


def _matters(scope: Scope, interval: Interval) -> bool:
    """Whether rows of an interval were trained on, or answered in the period."""
    record = scope.record
    if record is not None:
        start, end = record.interval.start, record.interval.end
        if scope.metadata is not None:
            start = min(start, scope.metadata.trained_on[0])
        if interval.end > start and interval.start < end:
            return True
    return scope.period.meets(interval)


def _intervals_file(scope: Scope) -> RecordFile:
    name = intervals_table(scope.use_case.name)
    rows = scope.tables.read(name, where=scope.period.where_overlaps())
    return csv_file("data/intervals.csv", rows, f"table {name}")
