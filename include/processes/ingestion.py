"""The first half of the features process: land the source's rows, judge them, publish them.

Heavy imports inside the steps.
"""

from __future__ import annotations

from typing import Any

from include.errors import DataError
from include.release.in_service import champion_in_service
from include.spec import Table
from include.steps import StepContext

INGEST = "ingest"


def ingest_source(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Land the interval's source rows. Returns `{"tables": {table: landing table's version}}`."""
    from include.quality.landing import land
    from include.tables.store import TableStore

    landed = land(
        TableStore(context.settings.tables_uri),
        context.use_case,
        context.interval,
        context.settings,
    )
    return {"tables": {name: version.as_json() for name, version in landed.items()}}


def validate_data(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Judge the landed rows; returns the verdict and never raises for bad data.

    `{"accepted", "reasons", "failures", "warnings", "notes", "references", "report", "data_docs",
    "quarantine"}`: `warnings` name new columns, `notes` what could not be judged and why,
    `references` what each table was compared with; `report` is the path of a JSON file with all of
    it, the statistics of every column and Great Expectations' results; `data_docs` is the HTML page
    for people; `quarantine` maps a refused table to where its rows were put aside.
    """
    from include.quality.delivery_verdict import judge_delivery

    champion, failures = champion_in_service(context.use_case, context.settings)
    versions = {table.name: _landed_version(inputs, table) for table in context.use_case.tables}
    return judge_delivery(context, versions, champion, failures)


def publish_tables(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """Copy the landed rows that were validated to the tables of the specification and record the
    interval as ingested.

    Columns that are not declared are left out. The interval's statistics are kept: later deliveries
    are compared with them. Returns `{"tables": {table: version}}`. Raises `DataError` when there is
    no verdict that accepts them.
    """
    from include.quality.landing import read_landed, write_rows
    from include.quality.published import describe_table, record
    from include.tables.completed import mark_complete
    from include.tables.store import TableStore

    verdict = inputs.get("validate_data", {})
    if verdict.get("accepted") is not True:
        raise DataError(
            f"{context.use_case.name} {context.interval.label}: the landed rows have not been"
            f" accepted ({verdict.get('reasons', 'there is no verdict of validate_data')}); only"
            " validated rows are published."
        )
    tables = TableStore(context.settings.tables_uri)
    published, described = {}, []
    for table in context.use_case.tables:
        frame = read_landed(tables, table, context.interval, _landed_version(inputs, table))
        declared = frame.select(column.name for column in table.columns)
        published[table.name] = write_rows(
            tables, table.name, table, declared, context.interval
        ).as_json()
        described.append(describe_table(table, declared, context.interval))
    record(tables, context.use_case, described)
    mark_complete(tables, context.use_case.name, INGEST, context.interval, {"tables": published})
    return {"tables": published}


def _landed_version(inputs: dict[str, Any], table: Table) -> int | None:
    """The version of the landing table that this run ingested, so that what was judged is what is
    published.
    """
    landed = inputs.get("ingest_source", {}).get("tables", {}).get(table.name)
    return None if landed is None else int(landed["version"])
