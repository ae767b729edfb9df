"""Has a column changed since it was published last? Each rule by effect size, against every
reference.

A column has changed only when it is far from every reference; the first rule that it breaks is
reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from include.quality.delivery import Delivery
from include.quality.profiles import Profile, comparable_rows, new_share, psi, shift
from include.quality.references import Reference
from include.spec import Column
from include.verdict import Finding

# A value that was to be expected in fewer rows may be absent by chance.
EXPECTED_ROWS = 30
# A number in fewer of a reference's rows has almost no mass there. A profile tells shares to 0.4 %.
ALMOST_NONE = 0.01
# Text with fewer rows than these per value is an identifier, not a distribution.
ROWS_PER_VALUE = 20

Sides = list[tuple[Reference, Profile]]


@dataclass(frozen=True)
class Compared:
    """One column of a delivery and its references: those with enough `rows` (nulls included) and
    those with enough `values`.
    """

    delivery: Delivery
    column: Column
    new: Profile
    rows: Sides
    values: Sides

    @property
    def least(self) -> int:
        """The rows that a comparison needs on both sides."""
        return self.delivery.use_case.data_checks.minimum_rows

    @property
    def is_label(self) -> bool:
        """Whether this is the use case's label."""
        use_case = self.delivery.use_case
        column = (self.delivery.table.name, self.column.name)
        is_label = column == (use_case.data_set.label_table, use_case.label.column)
        return is_label and use_case.problem.label_is_rate

    @property
    def has_distribution(self) -> bool:
        """A label's is judged by its share; text with too many values for the rows has none to
        speak of.
        """
        if self.new.kind != "text":
            return not self.is_label
        most = max((len(old.values) for _, old in self.values), default=0)
        return most * ROWS_PER_VALUE <= min(
            (comparable_rows(old, self.new) for _, old in self.values), default=0
        )

    @property
    def mass_limit(self) -> float:
        """The largest share of a number that had almost no mass before: the column's own limit, or
        that of the use case.
        """
        limit = self.column.max_new_mass
        return self.delivery.use_case.data_checks.max_new_mass if limit is None else limit

    @property
    def lost_limit(self) -> float:
        """The largest former share of a text that may be absent: the column's own, or that of the
        use case.
        """
        limit = self.column.max_lost_share
        return self.delivery.use_case.data_checks.max_lost_share if limit is None else limit

    @cached_property
    def new_mass(self) -> float | None:
        """The commonest number above that limit that had almost no mass in any reference."""
        if self.new.kind != "number" or self.is_label or not self.values:
            return None
        heavy = self._counts.filter(pl.col("rows") > self.mass_limit * self.new.present)
        for value in heavy.sort(["rows", "value"], descending=True)["value"].to_list():
            if all(old.share_of(value) <= ALMOST_NONE for _, old in self.values):
                return float(value)
        return None

    def share_of(self, value: float) -> float:
        """The exact share of the delivery's values that are this number."""
        return float(self._counts.filter(value=value)["rows"].sum()) / self.new.present

    @cached_property
    def _counts(self) -> pl.DataFrame:
        numbers = self.delivery.frame[self.column.name].cast(pl.Float64).rename("value")
        return numbers.filter(numbers.is_finite()).value_counts(name="rows")

    @property
    def facts(self) -> str:
        """What the delivery's column holds, in words."""
        facts = f"rows {self.new.rows}"
        if self.new.mean is not None:
            facts += f", mean {self.new.mean:.4g}"
        if self.new_mass is not None:
            share = self.share_of(self.new_mass)
            facts += f", {share:.2%} of the values are {self.new_mass:g}, hardly any before"
        return facts


def check_column(delivery: Delivery, column: Column, new: Profile) -> tuple[Finding | None, str]:
    """The first rule that the column breaks, or a note on what could not be compared."""
    least = delivery.use_case.data_checks.minimum_rows
    sides = _sides(delivery, column)
    where = f"{delivery.table.name}.{column.name}"
    if not sides:
        return None, f"{where}: not compared: no published interval holds statistics of it"
    compared = _compared(delivery, column, new, sides)
    for rule in COLUMN_RULES.values():
        if failure := rule(compared):
            return failure, ""
    if not compared.values:
        count = max(comparable_rows(old, new) for _, old in sides)
        why = f"{count} rows with a value on both sides, {least} needed (data_checks.minimum_rows)"
        return None, f"{where}: not compared: {why}"
    if new.kind == "text" and not compared.has_distribution:
        return None, f"{where}: its distribution was not compared: too many values for the rows"
    return None, ""


def effects(delivery: Delivery, column: Column, new: Profile) -> dict[str, float]:
    """By the limit's name, how far the column is from the nearest reference, whatever is allowed;
    what cannot be compared is left out.
    """
    compared = _compared(delivery, column, new, _sides(delivery, column))
    olds = [old for _, old in compared.values]
    spread = olds if compared.has_distribution else []
    unnamed = olds if new.kind == "text" and not column.categories else []
    measured = {
        "max_null_change": [new.null_share - old.null_share for _, old in compared.rows],
        "max_psi": [psi(old, new, compared.least) for old in spread],
        "max_shift": [shift(old, new, compared.least) for old in spread],
        "max_new_share": [_excess(old, new) for old in unnamed],
    }
    if lost := _lost(compared):
        measured["max_lost_share"] = [max(lost.values())]
    if compared.is_label:
        mean = new.mean or 0.0
        measured["max_label_change"] = [abs(mean - (old.mean or 0.0)) for old in olds]
    if (value := compared.new_mass) is not None:
        share = compared.share_of(value)
        measured["max_new_mass"] = [share - old.share_of(value) for old in olds]
    return {name: min(values) for name, values in measured.items() if values}


def _sides(delivery: Delivery, column: Column) -> Sides:
    return [
        (part, part.profiles[column.name])
        for part in delivery.references
        if column.name in part.profiles
    ]


def _compared(delivery: Delivery, column: Column, new: Profile, sides: Sides) -> Compared:
    least = delivery.use_case.data_checks.minimum_rows
    rows = [(part, old) for part, old in sides if min(old.rows, new.rows) >= least]
    values = [(part, old) for part, old in sides if comparable_rows(old, new) >= least]
    return Compared(delivery, column, new, rows, values)


def null_share(compared: Compared) -> Finding | None:
    """Nulls are not `max_null_change` more frequent."""
    share, limit = compared.new.null_share, compared.delivery.use_case.data_checks.max_null_change
    bad = pl.col(compared.column.name).is_null()
    return _farthest(
        compared,
        "null share",
        compared.rows,
        limit,
        lambda old: share - old.null_share,
        f"{share:.2%}",
        bad,
    )


def label_share(compared: Compared) -> Finding | None:
    """The positive label is not `max_label_change` more or less frequent."""
    if not compared.is_label:
        return None
    mean, limit = compared.new.mean or 0.0, compared.delivery.use_case.data_checks.max_label_change
    return _farthest(
        compared,
        "label share",
        compared.values,
        limit,
        lambda old: abs(mean - (old.mean or 0.0)),
        f"{mean:.2%} positive",
        _any(compared),
    )


def unseen_values(compared: Compared) -> Finding | None:
    """Text holds no more values that were never seen before than its rare values make likely.

    Declared categories are judged there.
    """
    checks, column = compared.delivery.use_case.data_checks, compared.column
    if compared.new.kind != "text" or column.categories or not compared.values:
        return None
    limit = checks.max_new_share if column.max_new_share is None else column.max_new_share
    share = max(new_share(old, compared.new)[0] for _, old in compared.values)
    published = {value for _, old in compared.values for value in old.values}
    bad = ~pl.col(column.name).is_in(list(published)) & pl.col(column.name).is_not_null()
    return _farthest(
        compared,
        "unseen values",
        compared.values,
        limit,
        lambda old: _excess(old, compared.new),
        f"{share:.2%} of the rows",
        bad,
    )


def missing_segment(compared: Compared) -> Finding | None:
    """No text value that held more than `max_lost_share` of the rows of every reference is wholly
    absent.
    """
    delivery, limit = compared.delivery, compared.lost_limit
    lost = {value: share for value, share in _lost(compared).items() if share > limit}
    if not lost:
        return None
    listing = ", ".join(f"{value!r} ({share:.2%} before)" for value, share in sorted(lost.items()))
    expected = f"every value that held more than {limit:.2%} of the rows of each reference"
    bad = delivery.frame.filter(_any(compared))
    return delivery.failure(
        compared.column.name,
        "missing segment",
        expected,
        f"no row of {listing} among {compared.new.rows}",
        bad,
    )


def _lost(compared: Compared) -> dict[str, float]:
    """The text values of which no row came though enough were to be expected, with the least share
    that they held in a reference.
    """
    new = compared.new
    if new.kind != "text" or not compared.values:
        return {}
    present = set(new.values)
    shares = [
        dict(zip(old.values, (weight / old.present for weight in old.weights), strict=True))
        for _, old in compared.values
    ]
    least = {
        value: min(other.get(value, 0.0) for other in shares)
        for value in shares[0]
        if value not in present
    }
    return {value: share for value, share in least.items() if share * new.present >= EXPECTED_ROWS}


def distribution_psi(compared: Compared) -> Finding | None:
    """The population stability index is at most `max_psi`."""
    limit = compared.column.max_psi or compared.delivery.use_case.data_checks.max_psi
    sides = compared.values if compared.has_distribution else []
    return _farthest(
        compared,
        "distribution (PSI)",
        sides,
        limit,
        lambda old: psi(old, compared.new, compared.least),
        compared.facts,
        _any(compared),
    )


def distribution_shift(compared: Compared) -> Finding | None:
    """A number's values have moved by at most `max_shift` standard deviations."""
    limit = compared.column.max_shift or compared.delivery.use_case.data_checks.max_shift
    sides = compared.values if compared.has_distribution else []
    return _farthest(
        compared,
        "distribution (shift)",
        sides,
        limit,
        lambda old: shift(old, compared.new, compared.least),
        compared.facts,
        _any(compared),
    )


def mass_point(compared: Compared) -> Finding | None:
    """No number that hardly a row of any reference held fills more than `max_new_mass` of the rows:
    a value that stands for a missing one may lie inside of the declared range, and move no
    distribution far enough.
    """
    value = compared.new_mass
    if value is None:
        return None
    bad = pl.col(compared.column.name).cast(pl.Float64) == value
    share = compared.share_of(value)
    return _farthest(
        compared,
        "mass point",
        compared.values,
        compared.mass_limit,
        lambda old: share - old.share_of(value),
        compared.facts,
        bad,
    )


COLUMN_RULES: dict[str, Callable[[Compared], Finding | None]] = {
    "null share": null_share,
    "label share": label_share,
    "unseen values": unseen_values,
    "missing segment": missing_segment,
    "distribution (PSI)": distribution_psi,
    "distribution (shift)": distribution_shift,
    "mass point": mass_point,
}


def _excess(old: Profile, new: Profile) -> float:
    share, expected = new_share(old, new)
    return share - expected


def _any(compared: Compared) -> pl.Expr:
    return pl.col(compared.column.name).is_not_null()


def _farthest(
    compared: Compared,
    rule: str,
    sides: Sides,
    limit: float,
    effect: Callable[[Profile], float],
    facts: str,
    bad: pl.Expr,
) -> Finding | None:
    """A failure when the effect exceeds the limit against every reference; it reports all of
    them.
    """
    effects = {part.name: effect(old) for part, old in sides}
    if not effects or min(effects.values()) <= limit:
        return None
    observed = f"{facts}; " + ", ".join(
        f"{value:.3f} from {name}" for name, value in effects.items()
    )
    expected = f"a change of at most {limit} from one of the references"
    return compared.delivery.failure(
        compared.column.name, rule, expected, observed, compared.delivery.frame.filter(bad)
    )
