"""What the rows of a source say of themselves: types, ranges, domains, nulls, keys, the label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from include.errors import DataError
from include.sources.moments import moment
from include.spec import ColumnType
from include.spec.base import suggestion
from include.spec.values import LONGEST_TEXT, name_problem

CATEGORIES = 20
"""Of a text with at most so many values, each of which many rows have, the domain is closed."""
CLASSES = 30
UNIQUE_SHARE = 0.95
ENTITY_VALUES = 5000
FEWEST_ROWS = 200
RECURRING_SHARE = 0.9
PART_SHARE = 0.98
TWO_YEARS = timedelta(days=730)
NUMBERS: tuple[tuple[ColumnType, type[pl.DataType]], ...] = (
    ("integer", pl.Int64),
    ("number", pl.Float64),
)
"""The narrower first."""


@dataclass(frozen=True)
class ColumnProfile:
    """One column: `type` is the declared type it fits; `zone` whether its times lack a time zone;
    figures are of the values that are there.
    """

    name: str
    type: ColumnType
    null_share: float
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] = ()
    zoneless: bool = False
    usual: float = 0.0
    """Of a number the 99 % quantile."""
    numbers: int = 0
    """Of text that is numbers but for some words, the rows that hold a number."""
    words: tuple[tuple[str, int], ...] = ()
    """Those words, the commonest first, each with its rows."""
    is_measured: bool = False
    """Whether one of its numbers has a fraction: no code or name is written so."""

    def is_identifier(self, rows: int) -> bool:
        """Whether nearly every one of the rows has a whole number of its own: such numbers run on,
        and say nothing.
        """
        return self.type == "integer" and self.distinct >= UNIQUE_SHARE * rows


@dataclass(frozen=True)
class Profile:
    """All columns of a source, and its rows in the declared types."""

    rows: pl.DataFrame
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str, option: str) -> ColumnProfile:
        """The column that an option names; raises `DataError` with those that there are."""
        for column in self.columns:
            if column.name == name:
                return column
        names = [column.name for column in self.columns]
        raise DataError(f"{option} is {name!r}, no column of the source{suggestion(name, names)}")

    @property
    def zoneless(self) -> bool:
        """Whether times lack a time zone."""
        return any(column.zoneless for column in self.columns)

    def calendar(self, name: str) -> list[str]:
        """What of a time can tell rows from each other: the hour and the weekday where there are
        several, the month where the source has seen each of them twice.
        """
        times = self.rows[name].drop_nulls().dt
        parts = {"hour": times.hour(), "weekday": times.weekday()}
        first, last = self.span(name)
        if last - first >= TWO_YEARS:
            parts["month"] = times.month()
        return [part for part, values in parts.items() if values.n_unique() > 1]

    def is_part_of(self, column: ColumnProfile, name: str) -> bool:
        """Whether a column of whole numbers says what the time `name` says in nearly every row: its
        year, month, day, weekday or the like.
        """
        if column.type != "integer":
            return False
        values, times = self.rows[column.name], self.rows[name].dt
        parts = (
            times.year(),
            times.month(),
            times.day(),
            times.hour(),
            times.weekday(),
            times.weekday() - 1,
            times.week(),
            times.quarter(),
            times.ordinal_day(),
        )
        return any(_say_the_same(values, part.cast(pl.Int64)) for part in parts)

    def recurs(self, name: str, time: str) -> bool:
        """Whether most values of the newer half are ones that the older half has too."""
        ordered = self.rows.sort(time)[name]
        older, newer = ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :].drop_nulls()
        again = newer.is_in(older.drop_nulls().unique().to_list()).sum()
        return again >= RECURRING_SHARE * len(newer)

    def span(self, name: str) -> tuple[datetime, datetime]:
        """The first and last moment of a column; raises `DataError` where it holds none."""
        first, last = self.rows[name].min(), self.rows[name].max()
        if not isinstance(first, datetime) or not isinstance(last, datetime):
            raise DataError(f"--time is {name!r}, which holds no times.")
        return first, last + timedelta(microseconds=1)


def _say_the_same(values: pl.Series, part: pl.Series) -> bool:
    """Whether they are equal in nearly all rows, also in those without the part's commonest value:
    a flag that is hardly ever set is no hour of times that are hardly ever but midnight.
    """
    rest = part != part.mode()[0]
    same = (values == part).fill_null(value=False)
    return (
        bool(rest.any())
        and same.sum() >= PART_SHARE * len(same)
        and same.filter(rest).sum() >= PART_SHARE * rest.sum()
    )


def profile(frame: pl.DataFrame, *, texts: bool) -> Profile:
    """The columns of `frame`, those of CSV files (`texts`) by what their text can be.

    A column of a type that no table has (lists, bytes) is left out. Raises `DataError` for too few
    rows to propose anything from.
    """
    if frame.height < FEWEST_ROWS:
        raise DataError(
            f"The source has {frame.height} rows; with fewer than {FEWEST_ROWS} no limit can be"
            " proposed from them."
        )
    columns: list[ColumnProfile] = []
    rows: list[pl.Series] = []
    for series in frame.iter_columns():
        typed = _typed(series, texts=texts)
        if typed is None or name_problem(series.name):
            continue
        values, kind, zoneless = typed
        rows.append(values)
        columns.append(_profile(values, kind, zoneless=zoneless))
    return Profile(pl.DataFrame(rows), tuple(columns))


def _typed(series: pl.Series, *, texts: bool) -> tuple[pl.Series, ColumnType, bool] | None:
    dtype = series.dtype
    if dtype == pl.Boolean:
        return series, "boolean", False
    if dtype.is_integer():
        return series.cast(pl.Int64, strict=False), "integer", False
    if dtype.is_float() or dtype.is_decimal():
        return series.cast(pl.Float64).fill_nan(None), "number", False
    if isinstance(dtype, pl.Datetime):
        return _moments(series), "timestamp", dtype.time_zone is None
    if dtype == pl.Date:
        return _moments(series), "timestamp", True
    if dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String), "string", False
    if dtype != pl.String:
        return None
    made = _of_text(series) if texts else _times(series)
    return made or (series, "string", False)


def _of_text(series: pl.Series) -> tuple[pl.Series, ColumnType, bool] | None:
    """Text of a CSV file as the narrowest type that holds every value; one with leading zeros stays
    text.
    """
    text = series.str.strip_chars()
    if series.null_count() == len(series):
        return None
    if not text.str.contains(r"^-?0\d").any():
        for kind, dtype in NUMBERS:
            made = text.cast(dtype, strict=False)
            if made.null_count() == series.null_count():
                return made, kind, False
    lower = text.str.to_lowercase()
    if lower.drop_nulls().is_in(["true", "false"]).all():
        return lower == "true", "boolean", False
    return _times(series)


def _times(series: pl.Series) -> tuple[pl.Series, ColumnType, bool] | None:
    for timezone in (None, "UTC"):
        made = _moments(series, timezone)
        if made.null_count() == series.null_count() < len(series):
            return made, "timestamp", timezone is not None
    return None


def _moments(series: pl.Series, timezone: str | None = "UTC") -> pl.Series:
    at = moment(series.name, series.dtype, timezone)
    return series.to_frame().with_columns(at.alias(series.name))[series.name]


def _profile(values: pl.Series, kind: ColumnType, *, zoneless: bool) -> ColumnProfile:
    there = values.drop_nulls()
    low = high = None
    usual = 0.0
    if kind in ("integer", "number") and len(there):
        low, high = (float(str(edge)) for edge in (there.min(), there.max()))
        usual = float(str(there.quantile(0.99)))
    distinct = there.n_unique()
    texts: tuple[str, ...] = ()
    if kind == "string" and distinct <= max(CATEGORIES, CLASSES):
        texts = tuple(there.unique().sort().to_list())
    if kind == "string" and len(there) and int(str(there.str.len_chars().max())) > LONGEST_TEXT:
        texts = ()
    share = values.null_count() / len(values)
    measured = ColumnProfile(values.name, kind, share, distinct, low, high, texts, zoneless, usual)
    return _but_for_words(measured, there) if kind == "string" else measured


def _but_for_words(column: ColumnProfile, there: pl.Series) -> ColumnProfile:
    """The profile of text with its words, where more than half of it is numbers and not all."""
    text = there.str.strip_chars()
    made = text.cast(pl.Float64, strict=False)
    count = len(made) - made.null_count()
    # With leading zeros they are codes, as for `_of_text`.
    if not len(there) // 2 < count < len(there) or text.str.contains(r"^-?0\d").any():
        return column
    words = there.filter(made.is_null()).value_counts(sort=True).rows()
    fractions = text.filter(made.is_not_null()).str.contains(".", literal=True)
    return replace(column, numbers=count, words=tuple(words), is_measured=bool(fractions.any()))
