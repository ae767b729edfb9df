"""What a use case reads and learns: tables with their rules, features, model inputs, the label."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field, ValidationInfo, model_validator

from include.settings.environments import EnvironmentName
from include.spec.base import (
    Part,
    Share,
    all_different,
    in_order,
    is_recorded,
    suggestion,
)
from include.spec.sources import Source
from include.spec.times import check_timezone
from include.spec.values import ColumnType, name_problem

Privacy = Literal["clear", "hash", "drop"]
NUMBERS = ("integer", "number")


class Column(Part):
    """One column of a table and what a valid value is.

    Limits that are None here are those of the use case's `DataChecks`; a column has its own where a
    season moves it more than a fault does.
    """

    name: str = Field(description="The column's name.")
    type: ColumnType = Field(description="What its values are cast to when they are landed.")
    max_null_share: Share = Field(
        default=0.0, description="Largest share of nulls. 0 by default: a value is there."
    )
    minimum: float | None = Field(
        default=None,
        description="Least valid value, in the column's unit. None by default: no bound.",
    )
    maximum: float | None = Field(
        default=None,
        description="Largest valid value, in the column's unit. None by default: no bound.",
    )
    categories: tuple[str, ...] = Field(
        default=(), description="The closed set of values. Empty by default: any value."
    )
    unseen_share: Share = Field(
        default=0.0,
        description="Share of the rows that may hold another value than `categories`. 0 by"
        " default.",
    )
    sentinels: tuple[float | str, ...] | None = Field(
        default=None,
        description="Values that stand for `missing`. None by default: those of `DataChecks`.",
    )
    max_psi: float | None = Field(
        default=None,
        gt=0.0,
        description="Largest population stability index. None by default: that of `DataChecks`.",
    )
    max_shift: float | None = Field(
        default=None,
        gt=0.0,
        description="Largest move, in standard deviations. None by default: that of `DataChecks`.",
    )
    max_new_share: Share | None = Field(
        default=None,
        description="Largest share of new values. None by default: that of `DataChecks`.",
    )
    max_new_mass: Share | None = Field(
        default=None,
        description="Largest share of one number that hardly a row held before. None by default:"
        " that of `DataChecks`.",
    )
    max_lost_share: Share | None = Field(
        default=None,
        description="Largest former share of a text of which no row comes any more. None by"
        " default: that of `DataChecks`.",
    )
    privacy: Privacy = Field(
        default="clear",
        description=(
            "How the inference log keeps a value that a caller sends under this name, read from the"
            " entity table: `clear` (the default), as keyed `hash` (the same value gives the same"
            " text, which nobody without the key can undo or guess), or not at all (`drop`)."
        ),
    )
    description: str = Field(
        default="", description="What it means, with its unit, where the name does not say it."
    )

    @model_validator(mode="after")
    def _limits_fit(self, info: ValidationInfo) -> Column:
        if is_recorded(info):
            return self
        in_order(f"column {self.name!r}", self.minimum, self.maximum)
        bounded = [name for name in ("minimum", "maximum") if getattr(self, name) is not None]
        if bounded and self.type not in NUMBERS:
            raise ValueError(
                f"column {self.name!r}: {' and '.join(bounded)} bound numbers, and its type is"
                f" {self.type!r}; leave them out, or declare one of {list(NUMBERS)}"
            )
        if self.categories and self.type != "string":
            raise ValueError(
                f"column {self.name!r}: categories are texts, and its type is {self.type!r}; leave"
                " them out, or declare 'string'"
            )
        return self

    @model_validator(mode="after")
    def _has_a_usable_name(self, info: ValidationInfo) -> Column:
        problem = None if is_recorded(info) else name_problem(self.name)
        if problem:
            raise ValueError(
                f"column {self.name!r}: its name {problem}; valid: printable text that begins and"
                " ends with another character than a space"
            )
        return self


class RowRule(Part):
    """What columns of one row say about each other."""

    name: str = Field(description="What failures call it.")
    columns: tuple[str, ...] = Field(min_length=1, description="The columns that it reads.")
    holds: str = Field(
        description=(
            "A condition in SQL over them, as in a CHECK constraint. A row for which it is unknown"
            " (a null in it) breaks nothing, as in SQL."
        )
    )
    max_broken_share: Share = Field(
        default=0.0, description="Share of the rows that may break it. 0 by default."
    )


class CrossTableRule(Part):
    """What a row of one table and the row of another with the same key say about each other.

    It is judged where the later of the two rows is delivered, whichever table that is.
    """

    name: str = Field(description="What failures call it: its meaning in words.")
    tables: tuple[str, str] = Field(
        description="The two tables. Where both rows come with one delivery, a failure is the"
        " first table's."
    )
    on: tuple[str, ...] = Field(
        min_length=1,
        description="The columns by which rows are joined, alike in both tables; the key of one of"
        " them.",
    )
    holds: str = Field(
        description=(
            "A condition in SQL over `<table>.<column>`, the table without `raw/` and with `_` for"
            " `/`. A pair for which it is unknown (a null in it) breaks nothing, as in SQL."
        )
    )
    max_broken_share: Share = Field(
        default=0.0, description="Share of the joined rows that may break it. 0 by default."
    )

    @property
    def aliases(self) -> tuple[str, str]:
        """What the condition calls the two tables."""
        first, second = (name.removeprefix("raw/").replace("/", "_") for name in self.tables)
        return first, second

    @model_validator(mode="after")
    def _two_tables(self, info: ValidationInfo) -> CrossTableRule:
        if not is_recorded(info) and len(set(self.aliases)) == 1:
            raise ValueError(
                f"cross-table rule {self.name!r}: tables are {list(self.tables)}, both of which its"
                f" condition calls {self.aliases[0]!r}; name two tables, or call one otherwise"
            )
        return self


class Table(Part):
    """One table that the use case ingests."""

    name: str = Field(description="Its name below the table store, such as `raw/flights`.")
    key: tuple[str, ...] = Field(description="The columns that identify a row.")
    columns: tuple[Column, ...] = Field(description="All its columns.")
    time_column: str | None = Field(
        description=(
            "When a row became known: windows of ingestion and every cut-off are cut along it. None"
            " marks a static table, which is replaced as a whole."
        )
    )
    happens_at: str | None = Field(
        default=None,
        description="The moment that a row speaks of: it cannot be known, by `time_column`, before"
        " that. None by default: not judged.",
    )
    known_after: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        description="The least time that lies between the two. 0 by default.",
    )
    natural_key: tuple[str, ...] = Field(
        default=(),
        description=(
            "The columns that name the real thing that a row is about, whatever its `key`: no two"
            " keys may have them alike. A row with a null in one of them is not judged. Empty by"
            " default: not judged."
        ),
    )
    minimum_rows: int = Field(
        default=1,
        description="Least number of rows of an ingested window, at least 1. 1 by default: a window"
        " without rows is always a refusal.",
    )
    row_rules: tuple[RowRule, ...] = Field(
        default=(), description="What holds in each row by itself. Empty by default."
    )
    source: Source | None = Field(
        default=None,
        description="Where its rows come from. None by default: `read_source` of the use case's"
        " data.py gives them.",
    )
    source_in: Mapping[EnvironmentName, Source] = Field(
        default={},
        description=(
            "Where its rows come from in an environment of their own, such as `{'production':"
            " SqlSource(...)}`; `source` holds in every other. Empty by default: every environment"
            " reads the same source, as much of it as its `sample_share` says."
        ),
    )
    written_by: str | None = Field(
        default=None,
        description="The use case that ingests it, where this one only reads it: that one's object"
        " by `ORDERS.from_use_case('orders')`. None by default: this use case alone writes it.",
    )
    description: str = Field(default="", description="What a row is.")

    @model_validator(mode="after")
    def _can_be(self, info: ValidationInfo) -> Table:
        if is_recorded(info):
            return self
        where = f"table {self.name!r}"
        if self.minimum_rows < 1:
            raise ValueError(
                f"{where}: minimum_rows is {self.minimum_rows}; a window without rows is always a"
                " refusal, so it must be 1 or more"
            )
        all_different(f"{where}: columns", [column.name for column in self.columns])
        all_different(f"{where}: key", self.key)
        all_different(f"{where}: row_rules", [rule.name for rule in self.row_rules])
        all_different(f"{where}: natural_key", self.natural_key)
        if self.natural_key and set(self.key) <= set(self.natural_key):
            raise ValueError(
                f"{where}: natural_key {list(self.natural_key)} holds the key {list(self.key)}, so"
                " no two rows could have it alike; name what the key stands for without it"
            )
        if self.source is not None and self.source.key_from and len(self.key) != 1:
            raise ValueError(
                f"{where}: key is {list(self.key)}, and its source makes one column of"
                f" {list(self.source.key_from)} (key_from); name that column alone as the key"
            )
        self._check_moments(where)
        return self

    @property
    def sources(self) -> Mapping[str, Source]:
        """Every declared source by the field that declares it."""
        declared = {} if self.source is None else {"source": self.source}
        return {
            **declared,
            **{f"source_in[{name!r}]": source for name, source in self.source_in.items()},
        }

    def in_environment(self, name: EnvironmentName) -> Table:
        """The table as an environment has it: its `source` is the one that holds there."""
        chosen = self.source_in.get(name, self.source)
        return self.model_copy(update={"source": chosen, "source_in": {}})

    def from_use_case(self, name: str) -> Table:
        """The same table for a use case that only reads what the one of that name ingests."""
        return self.model_copy(update={"written_by": name})

    def _check_moments(self, where: str) -> None:
        types = {column.name: column.type for column in self.columns}
        for field in ("time_column", "happens_at"):
            name = getattr(self, field)
            if name is not None and types.get(name, "timestamp") != "timestamp":
                raise ValueError(
                    f"{where}: {field} {name!r} is of type {types[name]!r}; windows are cut along"
                    " moments, so it must be a 'timestamp'"
                )
        if self.happens_at is not None and self.time_column is None:
            raise ValueError(
                f"{where}: happens_at is {self.happens_at!r}, and time_column, when a row became"
                " known, is None; declare it, or leave happens_at out"
            )

    @model_validator(mode="after")
    def _columns_exist(self) -> Table:
        names = {column.name for column in self.columns}
        moments = [name for name in (self.time_column, self.happens_at) if name]
        for name in (*self.key, *self.natural_key, *moments):
            if name not in names:
                raise ValueError(
                    f"table {self.name!r}: key, natural_key, time_column or happens_at names"
                    f" {name!r}, which is not in columns{suggestion(name, names)}"
                )
        for rule in self.row_rules:
            for name in rule.columns:
                if name not in names:
                    raise ValueError(
                        f"table {self.name!r}: row rule {rule.name!r} reads"
                        f" {name!r}{suggestion(name, names)}"
                    )
        return self


class FeatureTable(Part):
    """One table of feature values, computed from the source tables and named like its Feast feature
    view.
    """

    view: str = Field(description="The feature view's name.")
    table: str = Field(description="The table's name, such as `features/carrier_daily`.")
    timestamp: str = Field(
        default="event_timestamp",
        description="The column with the moment at which a row's values were known. Feast's name by"
        " default.",
    )
    windowed: bool = Field(
        default=True,
        description="Whether it grows by windows. True by default; False marks a static table.",
    )
    written_by: str | None = Field(
        default=None,
        description="The use case that computes it, where this one only reads it: that one's object"
        " by `SHOP_DAILY.from_use_case('orders')`. None by default: this use case alone writes it.",
    )

    def from_use_case(self, name: str) -> FeatureTable:
        """The same table for a use case that only reads what the one of that name computes."""
        return self.model_copy(update={"written_by": name})


class Input(Part):
    """One column of the model's matrix: where its value comes from and how it is turned into a
    number.
    """

    name: str = Field(description="The input's name in the model.")
    source: str = Field(
        description="`<feature view>:<feature>` for a value from the feature store, `<entity key or"
        " request field>` otherwise."
    )
    kind: Literal[
        "number", "category", "local_hour", "local_weekday", "local_month", "hours_between"
    ] = Field(
        default="number",
        description=(
            "`number` (the default: as it is), `category` (code of the value; unknown is missing),"
            " `local_hour`, `local_weekday` and `local_month` (of a timestamp, in `timezone`;"
            " weekday 0 is Monday, month 1 January), `hours_between` (from the event time to the"
            " timestamp)."
        ),
    )
    timezone: str = Field(
        default="UTC", description="Time zone of hours, weekdays and months. UTC by default."
    )
    monotone: Literal[-1, 0, 1] = Field(
        default=0,
        description=(
            "1 where the prediction may only rise with the value, -1 where it may only fall, 0"
            " where either may happen, as by default."
        ),
    )
    may_be_constant: bool = Field(
        default=False,
        description="Whether a training window may hold one value of it alone, such as a flag of a"
        " season. False by default: then it tells nothing, and something is wrong as a rule.",
    )
    description: str = Field(
        default="", description="What it means, with its unit, where the name does not say it."
    )

    @model_validator(mode="after")
    def _known_timezone(self, info: ValidationInfo) -> Input:
        if not is_recorded(info):
            check_timezone(f"input {self.name!r}: timezone", self.timezone)
        return self

    @model_validator(mode="after")
    def _only_numbers_are_monotone(self) -> Input:
        if self.monotone and self.kind == "category":
            raise ValueError(f"input {self.name!r}: a category has no order, so monotone must be 0")
        return self

    @property
    def view(self) -> str | None:
        """The feature view that the value comes from, or `None` for an entity key or a request
        field.
        """
        return self.source.split(":")[0] if ":" in self.source else None


class Label(Part):
    """The ground truth: a column of the data set's label table, filled after the fact."""

    column: str = Field(
        description=(
            "The column: 0 or 1 (binary), a number in any unit (regression), or a class or a number"
            " that `problem.bounds` cut (multiclass)."
        )
    )
    description: str = Field(description="What it says, with its unit.")
    known_after: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        description="The least time from the question's event time to the moment at which its label"
        " can be known. 0 by default: later than the question.",
    )
