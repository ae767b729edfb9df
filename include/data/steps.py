"""The first half of the features process: land the source's rows, judge them, publish them. Heavy imports inside the steps."""

from __future__ import annotations

import json
from math import ceil
from typing import Any

from include.errors import DataError
from include.spec import Table
from include.steps import StepContext

INGEST = "ingest"


def ingest_source(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Land the interval's source rows. Returns `{"tables": {table: landing table's version}}`."""
    from include.data.ingest import land
    from include.data.tables import TableStore

    landed = land(TableStore(context.settings.tables_uri), context.use_case, context.interval, context.settings)
    return {"tables": {name: version.as_json() for name, version in landed.items()}}


def validate_data(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Judge the landed rows against the specification; returns the verdict and never raises for bad data.

    `{"accepted", "reasons", "failures", "report"}`; `report` is the path of a JSON file with the failures, the statistics of
    every column and Great Expectations' results. The least number of rows shrinks with the environment's sample share.
    """
    from include.data.ingest import read_landed
    from include.data.statistics import describe
    from include.data.tables import TableStore
    from include.data.validation import validate

    tables = TableStore(context.settings.tables_uri)
    failures: list[dict[str, Any]] = []
    reasons: list[str] = []
    judged: dict[str, Any] = {}
    for table in context.use_case.tables:
        frame = read_landed(tables, table, context.interval, _landed_version(inputs, table))
        minimum = max(1, ceil(table.minimum_rows * context.settings.sample_share))
        validation = validate(table, frame, window=context.interval if table.time_column else None, minimum_rows=minimum)
        failures += [failure.as_json() for failure in validation.failures]
        reasons += [failure.reason for failure in validation.failures]
        judged[table.name] = {"rows": frame.height, "statistics": describe(frame), "great_expectations": validation.result}
    folder = context.settings.reports_dir / "validation" / context.use_case.name / context.interval.label
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "validation.json"
    verdict = {"accepted": not failures, "reasons": reasons, "failures": failures}
    content = {"use_case": context.use_case.name, "interval": context.interval.as_json(), **verdict, "tables": judged}
    scratch = report.with_suffix(".partial")
    scratch.write_text(json.dumps(content, indent=2, default=str), encoding="utf-8")
    scratch.replace(report)
    return {**verdict, "report": str(report)}


def publish_tables(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Copy the landed rows that were validated to the tables of the specification and record the interval as ingested.

    Returns `{"tables": {table: version}}`. Raises `DataError` when there is no verdict that accepts them.
    """
    from include.data.ingest import read_landed, write_rows
    from include.data.intervals import mark_complete
    from include.data.tables import TableStore

    verdict = inputs.get("validate_data", {})
    if verdict.get("accepted") is not True:
        raise DataError(
            f"{context.use_case.name} {context.interval.label}: the landed rows have not been accepted "
            f"({verdict.get('reasons', 'there is no verdict of validate_data')}); only validated rows are published."
        )
    tables = TableStore(context.settings.tables_uri)
    published = {}
    for table in context.use_case.tables:
        frame = read_landed(tables, table, context.interval, _landed_version(inputs, table))
        published[table.name] = write_rows(tables, table.name, table, frame, context.interval).as_json()
    mark_complete(tables, context.use_case.name, INGEST, context.interval, {"tables": published})
    return {"tables": published}


def _landed_version(inputs: dict[str, Any], table: Table) -> int | None:
    """The version of the landing table that this run ingested, so that what was judged is what is published."""
    landed = inputs.get("ingest_source", {}).get("tables", {}).get(table.name)
    return None if landed is None else int(landed["version"])
