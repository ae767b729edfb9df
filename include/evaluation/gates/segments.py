"""The gate on what is not there: a slice without rows breaks no metric, and so no other gate would
notice it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from include.evaluation.gates.base import TEST, GateInput
from include.evaluation.slices import shown
from include.spec import Slice, UseCase
from include.verdict import Finding

# A segment that was to be expected in twice the rows that its slice needs, and cannot be judged,
# has not shrunk by chance or season.
MARGIN = 2


def segments(candidate: GateInput) -> list[Finding]:
    """Every segment that there should be has test rows, and enough of them to be judged by the
    other gates.

    With a champion: the values that its training data held, each expected in as many test rows as
    its share there says. Without one: the values that the specification declares, each in at least
    one row. Crossings follow from their sides.
    """
    return [
        row
        for declared in candidate.use_case.slices
        if declared.crossed_with is None
        for row in _column(candidate, declared)
    ]


SEGMENT_GATES = (segments,)


def _column(candidate: GateInput, declared: Slice) -> Iterator[Finding]:
    shares = (
        None if candidate.champion is None else candidate.champion.segments.get(declared.column)
    )
    rows_of = {
        part.values[0]: part.rows for part in candidate.slices if part.columns == declared.columns
    }
    if shares is not None:
        missing = dict(_shrunk(shares, rows_of, declared.minimum_rows, len(candidate.labels)))
    else:
        missing = {
            value: 1.0
            for value in declared_values(candidate.use_case, declared.column)
            if value not in rows_of
        }
    for value, expected in missing.items():
        explanation = (
            f"{expected:.0f} rows were to be expected"
            if shares is not None
            else "the specification declares it"
        )
        least, seen = (
            float(declared.minimum_rows if shares is not None else 1),
            float(rows_of.get(value, 0)),
        )
        yield Finding(
            rule="segments",
            metric="rows",
            subject=TEST,
            part=f"{declared.column}={shown(value)}",
            limit=least,
            observed=seen,
            passed=False,
            reason=f"the segment is missing: {explanation}",
        )
    if not missing:
        yield Finding(
            rule="segments",
            metric="rows",
            subject=TEST,
            part=declared.column,
            passed=True,
            reason=f"no segment is missing: {', '.join(sorted(map(shown, rows_of)))}",
        )


def _shrunk(
    shares: Mapping[str, float], rows_of: Mapping[str | None, int], minimum: int, rows: int
) -> Iterator[tuple[str, float]]:
    for value, share in shares.items():
        expected = share * rows
        if expected >= MARGIN * minimum and rows_of.get(value, 0) < minimum:
            yield value, expected


def declared_values(use_case: UseCase, column: str) -> tuple[str, ...]:
    """The closed set of values that the entity table declares for the source of a slice column;
    empty where it declares none.
    """
    sources = {item.name: item.source for item in use_case.inputs if item.kind == "category"}
    origin = sources.get(column, column)
    table = use_case.table(use_case.entity_table)
    return next((entry.categories for entry in table.columns if entry.name == origin), ())
