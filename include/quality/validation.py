"""Great Expectations suites from a use case's table declarations, and failures that say what to
look at.

Expectations decide (in the cheapest result format); for those that fail, the observed value and an
example row are found with Polars, which costs a fraction of letting Great Expectations collect
them. An empty batch satisfies every expectation on columns: so every suite counts rows and compares
the set of columns. A missing column is a failure, a new one a warning; a renamed one is both.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from include.interval import Interval
from include.quality.rules import Rule, rules_of, with_checks
from include.spec import Table
from include.tables.casting import Declared, Refusal, cast_frame, plain, row_example
from include.verdict import DATA_COLUMNS, Finding, Verdict, broken_rule

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult

SOURCE = "flightdeck"


@dataclass(frozen=True)
class Validation:
    """The findings on one batch, one for each declared rule, Great Expectations' own result (as
    JSON, and as the object that its Data Docs render), and what is only worth a warning: columns
    that nobody declared.

    `frame` is what was judged: the batch in its declared types.
    """

    findings: list[Finding]
    result: dict[str, Any]
    frame: pl.DataFrame
    document: Any = None
    warnings: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Finding]:
        """The rules that the batch breaks."""
        return [finding for finding in self.findings if not finding.passed]


def validate_frame(table: Table, frame: pl.DataFrame) -> list[Finding]:
    """Check `frame` against the declaration of `table`; no failure means it is valid.

    Bad data never raises.
    """
    return validate(table, frame).failures


def validate(
    table: Table,
    frame: pl.DataFrame,
    *,
    window: Interval | None = None,
    minimum_rows: int | None = None,
    exchanged: Collection[str] = (),
) -> Validation:
    """Check `frame` against the declaration of `table` with Great Expectations, after the cast to
    its types.

    `window` also requires every row's time column to lie in `[start, end)`. `minimum_rows` replaces
    the table's own. The columns `exchanged` hold nothing that a caller cannot send.
    """
    cast = cast_frame(
        frame,
        [Declared(part.name, part.type, part.name in exchanged) for part in table.columns],
    )
    frame, refused = cast.frame, {refusal.column: refusal for refusal in cast.refusals}
    rules = rules_of(
        table, frame, window, table.minimum_rows if minimum_rows is None else minimum_rows
    )
    document = _run(table, _to_pandas(with_checks(table, frame), refused), rules)
    result: dict[str, Any] = document.to_json_dict()
    failed = {_identity(entry) for entry in result["results"] if not entry["success"]}
    judged = {_identity(entry) for entry in result["results"]}
    findings = [
        _broken(table, frame, rule, refused)
        if _fails(rule, refused, passed=position in judged and position not in failed)
        else _kept(table, rule)
        for position, rule in enumerate(rules)
    ]
    _show(document, frame, rules)
    return Validation(findings, result, frame, document, new_columns(table, frame))


def _fails(rule: Rule, refused: Collection[str], *, passed: bool) -> bool:
    """Whether the rule is broken: a value of another type is no matter of its range too."""
    if rule.column not in refused or rule.name not in ("type", "range", "categories"):
        return not passed
    return rule.name == "type"


def data_verdict(findings: Sequence[Finding]) -> dict[str, Any]:
    """Decide on data: `{"accepted", "reasons", "failures"}`, the last the rules that it breaks."""
    verdict = Verdict(findings=tuple(findings))
    return {
        "accepted": verdict.accepted,
        "reasons": verdict.reasons,
        "failures": [failure.as_row(DATA_COLUMNS) for failure in verdict.refused],
    }


def _show(document: Any, frame: pl.DataFrame, rules: list[Rule]) -> None:
    """Give the rendered page the counts that the cheapest result format leaves out."""
    for entry in document.results:
        rule = rules[_identity(entry.to_json_dict())]
        entry.result = {
            "element_count": frame.height,
            "unexpected_count": 0,
            "unexpected_percent": 0.0,
            "partial_unexpected_list": [],
        }
        if rule.broken is None:
            shown = {"row count": frame.height, "columns": sorted(frame.columns)}
            entry.result["observed_value"] = (
                shown[rule.name] if rule.name in shown else str(frame.schema[rule.column])
            )
        elif not entry.success:
            try:
                bad = frame.filter(rule.broken)
            except pl.exceptions.PolarsError:
                continue
            values = bad[rule.column].head(5).to_list() if rule.column else []
            percent = 100 * bad.height / max(frame.height, 1)
            entry.result |= {
                "unexpected_count": bad.height,
                "unexpected_percent": percent,
                "partial_unexpected_list": list(map(plain, values)),
            }


def new_columns(table: Table, frame: pl.DataFrame) -> list[str]:
    """One warning per column that is not declared: it is not published, and stops nothing."""
    declared = {column.name for column in table.columns}
    new = [name for name in frame.columns if name not in declared]
    return [
        f"{table.name}.{name}: new column ({frame.schema[name]}), not declared: left out when"
        " publishing"
        for name in new
    ]


def example_row(rows: pl.DataFrame) -> dict[str, Any]:
    """The first row as JSON."""
    return row_example(rows, 0)


def suite_name(table: Table) -> str:
    """The name of the table's suite, and of its file: `raw/flights` -> `raw_flights`."""
    return table.name.replace("/", "_")


def _identity(entry: dict[str, Any]) -> int:
    return int(entry["expectation_config"]["meta"]["rule"])


def _run(table: Table, frame: pd.DataFrame, rules: list[Rule]) -> ExpectationSuiteValidationResult:
    """Great Expectations' result. The context lives in memory and sends nothing anywhere."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        from great_expectations import expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

    # Its progress would stand between the head of a task's log and the verdict.
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    # All at once: one by one each is compared with all before it.
    suite = gx.ExpectationSuite(
        name=suite_name(table),
        expectations=[
            getattr(expectations, rule.expectation)(
                **rule.arguments, meta={"rule": position, "name": rule.name}
            )
            for position, rule in enumerate(rules)
        ],
    )
    asset = context.data_sources.add_pandas(SOURCE).add_dataframe_asset(table.name)
    batch = asset.add_batch_definition_whole_dataframe("batch").get_batch({"dataframe": frame})
    return batch.validate(suite, result_format="BOOLEAN_ONLY")


def _to_pandas(frame: pl.DataFrame, refused: Collection[str]) -> pd.DataFrame:
    """The frame for Great Expectations: integers nullable, refused columns as text, so that their
    type is wrong to it too, and what it cannot hold does not end it.
    """
    texts = [
        frame[name].to_physical().cast(pl.String, strict=False).alias(name)
        if frame.schema[name].is_temporal() or frame.schema[name].is_numeric()
        else frame[name]
        for name in refused
    ]
    typed = frame.with_columns(texts)
    converted = typed.to_pandas()
    for name, dtype in typed.schema.items():
        if dtype.is_integer():
            converted[name] = (
                typed[name].to_pandas(use_pyarrow_extension_array=True).astype("Int64")
            )
    return converted


def _kept(table: Table, rule: Rule) -> Finding:
    return Finding(
        rule=rule.name,
        subject=table.name,
        part=rule.column,
        limit=rule.expected,
        observed="as expected",
        passed=True,
    )


def _broken(
    table: Table, frame: pl.DataFrame, rule: Rule, refused: Mapping[str, Refusal]
) -> Finding:
    def refuse(observed: str, example: dict[str, Any] | None = None) -> Finding:
        return broken_rule(table.name, rule.column, rule.name, rule.expected, observed, example)

    if rule.name == "type" and rule.column in refused:
        refusal = refused[rule.column]
        return broken_rule(
            table.name,
            rule.column,
            rule.name,
            refusal.expected,
            f"{refusal.observed}. {refusal.remedy}",
            refusal.example,
        )
    if rule.broken is None:
        return refuse(_observed_shape(table, frame, rule))
    try:
        bad = frame.filter(rule.broken)
    except pl.exceptions.PolarsError as error:
        return refuse(f"the check could not be made: {error}")
    observed = f"{bad.height} of {frame.height} rows ({bad.height / max(frame.height, 1):.2%})"
    if rule.name in ("range", "window") and bad.height:
        observed += f", values {bad[rule.column].min()!s} to {bad[rule.column].max()!s}"
    if rule.name == "categories":
        observed += f", values {bad[rule.column].unique().sort().head(5).to_list()}"
    return refuse(observed, example_row(bad) if bad.height else None)


def _observed_shape(table: Table, frame: pl.DataFrame, rule: Rule) -> str:
    if rule.name == "row count":
        return f"{frame.height} rows"
    if rule.name == "type":
        return (
            f"{frame.schema[rule.column]}, e.g. {frame[rule.column].drop_nulls().head(1).to_list()}"
        )
    declared = {column.name for column in table.columns}
    return (
        f"missing {sorted(declared - set(frame.columns))}, not declared"
        f" {sorted(set(frame.columns) - declared)}"
    )
