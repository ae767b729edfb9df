"""What is proposed of a source: its roles, the problem, limits, each with the figure it is from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from cli.authoring.profile import CLASSES, ENTITY_VALUES, ColumnProfile, Profile
from include.errors import DataError
from include.spec.values import LONGEST_TEXT

BINARY_VALUES = {0, 1}
LEAST_CLASSES = 3
SHOWN_WORDS = 5


@dataclass(frozen=True)
class Limit:
    """A proposed value and the sentence that says where it is from."""

    name: str
    value: float
    reason: str


@dataclass(frozen=True)
class Roles:
    """What the columns are for."""

    key: str
    time: str
    label: str
    entity: str
    requested: tuple[ColumnProfile, ...]
    others: tuple[ColumnProfile, ...]
    """Columns that are landed and no input: new rows have values that no earlier row has."""
    calendar: tuple[ColumnProfile, ...] = ()
    """Columns that are landed and no input: the time says what they say."""

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row must have."""
        return self.key, self.entity, self.time, self.label


@dataclass(frozen=True)
class Problem:
    """`kind` is the class of include.spec; `rate` the name of the label's rolling mean."""

    kind: str
    rate: str
    classes: tuple[str, ...]
    commonest: str
    limits: tuple[Limit, ...]


def roles(profile: Profile, *, label: str, time: str, key: str | None, entity: str | None) -> Roles:
    """The roles of all columns, as the options say or as the rows suggest."""
    for option, name in (("--label", label), ("--time", time)):
        column = profile.column(name, option)
        if option == "--time" and (column.type != "timestamp" or column.null_share):
            raise DataError(
                f"--time is {name!r}, which holds {column.type} with {column.null_share:.1%} nulls;"
                " it must say of every row when its question was asked."
            )
    identity = profile.column(key, "--key") if key else _key(profile, {label, time}, time)
    if identity.distinct < profile.rows.height or identity.type not in ("string", "integer"):
        raise DataError(
            f"--key is {identity.name!r}, {identity.type} with {identity.distinct} values in"
            f" {profile.rows.height} rows; it must be text or a whole number that no two rows have."
        )
    about = (
        profile.column(entity, "--entity")
        if entity
        else _entity(profile, {label, time, identity.name}, time)
    )
    if about.type not in ("string", "integer") or about.null_share:
        raise DataError(
            f"--entity is {about.name!r}, {about.type} with {about.null_share:.1%} nulls; it must"
            " be text or a whole number that every row has."
        )
    taken = {label, time, identity.name, about.name}
    rest = [column for column in profile.columns if column.name not in taken]
    height = profile.rows.height
    dates = [column for column in rest if profile.is_part_of(column, time)]
    others = [
        column
        for column in rest
        if column not in dates
        and (
            _is_free_text(column, height)
            or column.is_identifier(height)
            or column.is_measured  # as categories its numbers would mean nothing
            or (column.type == "string" and not profile.recurs(column.name, time))
        )
    ]
    return Roles(
        identity.name,
        time,
        label,
        about.name,
        tuple(column for column in rest if column not in (*others, *dates)),
        tuple(others),
        tuple(dates),
    )


def problem(profile: Profile, label: str) -> Problem:
    """The kind of problem that the label's values make, with limits that an answer without a model
    just misses or meets.
    """
    values = profile.rows[label].drop_nulls()
    column = profile.column(label, "--label")
    if column.type == "boolean" or set(values.unique().to_list()) == BINARY_VALUES:
        return _binary(values.cast(pl.Float64), label)
    if column.type == "string" and LEAST_CLASSES <= column.distinct <= CLASSES:
        return _multiclass(values, label)
    if column.type in ("integer", "number"):
        return _regression(values.cast(pl.Float64), label)
    words = f" It is {numbers_but_for(column)}." if column.words else ""
    raise DataError(
        f"--label is {label!r}, {column.type} with {column.distinct} values; valid are 0 and 1 or"
        f" true and false, numbers, and {LEAST_CLASSES} to {CLASSES} texts. Of two texts make 0"
        f" and 1 first.{words}"
    )


def numbers_but_for(column: ColumnProfile) -> str:
    """What a text is that is numbers in most rows: how many, and which words the others hold."""
    shown = [f"{word!r} ({rows:,} rows)" for word, rows in column.words[:SHOWN_WORDS]]
    more = len(column.words) - len(shown)
    others = f" and {more} other words" if more else ""
    return f"a number in {column.numbers:,} rows and {', '.join(shown)}{others} in the rest"


def _key(profile: Profile, taken: set[str], time: str) -> ColumnProfile:
    rows = profile.rows.height
    unique = [
        column
        for column in profile.columns
        if column.name not in taken
        and column.type in ("string", "integer")
        and column.distinct == rows
    ]
    unique.sort(key=lambda column: "id" not in column.name.lower())
    if not unique:
        several = [
            column
            for column in profile.columns
            if column.name not in taken and column.type in ("string", "integer")
        ]
        several.sort(key=lambda column: (column.type != "string", column.distinct))
        pairs = identifying(profile, time, several)
        named = (
            f"{pairs[0].name!r} and {time!r} do together: --key {pairs[0].name},{time}."
            if (pairs)
            else "Name several that do together, such as --key shop,day, or make one."
        )
        raise DataError(
            "No column identifies a row: none of text or whole numbers has another value in each"
            f" row. {named} A prediction is later found by it."
        )
    return unique[0]


def _entity(profile: Profile, taken: set[str], time: str) -> ColumnProfile:
    """Whom a row is about: what identifies a row together with its time, with the fewest values;
    else the text (or whole number) with the most values that still repeat often.

    A text that is mostly numbers is a measurement with a word for what could not be measured, or a
    code: the first is never chosen, the second last.
    """
    rows = profile.rows.height
    repeating = [
        column
        for column in profile.columns
        if column.name not in taken
        and column.type in ("string", "integer")
        and not column.null_share
        and not column.is_measured
        and 1 < column.distinct <= min(ENTITY_VALUES, rows // 20)
    ]
    repeating.sort(
        key=lambda column: (bool(column.words), column.type != "string", -column.distinct)
    )
    if not repeating:
        raise DataError(
            "No column says whom a row is about: none of text or whole numbers repeats. Name one"
            " with --entity (a shop, a customer, a route); its past is what features are made of."
        )
    together = identifying(profile, time, repeating)
    return min(together, key=lambda column: column.distinct) if together else repeating[0]


def identifying(
    profile: Profile, time: str, columns: Sequence[ColumnProfile]
) -> list[ColumnProfile]:
    """Those of the columns that identify a row together with its time: none where a time alone
    does, of which every column would.
    """
    times = profile.rows[time]
    if times.n_unique() == len(times):
        return []
    return [
        column
        for column in columns
        if not column.words and profile.rows.select(column.name, time).n_unique() == len(times)
    ]


def _is_free_text(column: ColumnProfile, rows: int) -> bool:
    return column.type == "string" and (
        column.distinct > rows // 20 or any(len(value) > LONGEST_TEXT for value in column.values)
    )


def _binary(values: pl.Series, label: str) -> Problem:
    rate = _mean(values)
    if not 0.0 < rate < 1.0:
        raise DataError(f"--label is {label!r}, which is {rate:g} in every row.")
    constant = rate * (1 - rate)
    return Problem(
        "Binary",
        f"{label}_rate",
        (),
        "",
        (
            Limit("min_auc", 0.55, "0.5 is chance: a first model must rank a little better."),
            Limit(
                "max_brier",
                _up(constant),
                f"{label} is 1 in {rate:.1%} of {len(values):,} rows; always saying {rate:.3f} has"
                f" a Brier score of {constant:.4f}.",
            ),
            Limit("max_calibration_error", 0.1, "A tenth off is a visible lie."),
        ),
    )


def _multiclass(values: pl.Series, label: str) -> Problem:
    counts = values.value_counts(sort=True)
    shares = [count / len(values) for count in counts["count"].to_list()]
    entropy = -sum(share * math.log(share) for share in shares)
    brier = 1 - sum(share**2 for share in shares)
    classes = tuple(values.unique().sort().to_list())
    commonest = str(counts[label][0])
    who = f"who always answers with the classes' shares in {len(values):,} rows"
    return Problem(
        "Multiclass",
        "commonest_rate",
        classes,
        commonest,
        (
            Limit("max_logloss", _up(entropy), f"{who} has a log loss of {entropy:.4f}."),
            Limit("min_auc", 0.55, "0.5 is chance: a first model must rank a little better."),
            Limit("max_brier", _up(brier), f"{who} has a Brier score of {brier:.4f}."),
            Limit("max_calibration_error", 0.15, "More than that is a visible lie."),
            Limit(
                "min_accuracy",
                math.floor(shares[0] * 100) / 100,
                f"{shares[0]:.1%} of the rows are of the commonest class, {commonest!r}.",
            ),
        ),
    )


def _regression(values: pl.Series, label: str) -> Problem:
    deviation = float(str(values.std() or 0.0))
    if deviation == 0.0:
        raise DataError(f"--label is {label!r}, which has one value in every row.")
    middle = float(str(values.median()))
    absolute = _mean((values - middle).abs())
    mean = _mean(values)
    spread = f"the standard deviation of {label} over {len(values):,} rows is {deviation:.4g}"
    return Problem(
        "Regression",
        f"{label}_mean",
        (),
        "",
        (
            Limit("max_rmse", _up(deviation), f"{spread}: the error of always saying {mean:.4g}."),
            Limit(
                "max_mae",
                _up(absolute),
                f"who always says the median, {middle:.4g}, is {absolute:.4g} off.",
            ),
            Limit("min_r2", 0.0, "0 is as good as the mean label."),
            Limit("max_bias", _up(deviation / 4), f"a quarter of it; {spread}."),
            Limit("max_decile_error", _up(deviation / 2), f"half of it; {spread}."),
        ),
    )


def _mean(values: pl.Series) -> float:
    return float(str(values.mean()))


def _up(value: float) -> float:
    """Rounded up to two significant digits."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step) * step:.6g}")
