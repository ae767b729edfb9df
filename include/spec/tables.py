"""What a use case reads and what it answers: tables, features, model inputs, the online interface,
the label.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, model_validator

from include.spec.base import (
    Part,
    Share,
    all_different,
    in_order,
    is_recorded,
    suggestion,
)
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
    minimum_rows: int = Field(
        default=1,
        description="Least number of rows of an ingested window, at least 1. 1 by default: a window"
        " without rows is always a refusal.",
    )
    row_rules: tuple[RowRule, ...] = Field(
        default=(), description="What holds in each row by itself. Empty by default."
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
        types = {column.name: column.type for column in self.columns}
        if self.time_column is not None and types.get(self.time_column, "timestamp") != "timestamp":
            raise ValueError(
                f"{where}: time_column {self.time_column!r} is of type"
                f" {types[self.time_column]!r}; windows are cut along moments, so it must be a"
                " 'timestamp'"
            )
        return self

    @model_validator(mode="after")
    def _columns_exist(self) -> Table:
        names = {column.name for column in self.columns}
        for name in (*self.key, *([self.time_column] if self.time_column else [])):
            if name not in names:
                raise ValueError(
                    f"table {self.name!r}: key or time_column names {name!r}, which is not in"
                    f" columns{suggestion(name, names)}"
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


class Input(Part):
    """One column of the model's matrix: where its value comes from and how it is turned into a
    number.
    """

    name: str = Field(description="The input's name in the model.")
    source: str = Field(
        description="`<feature view>:<feature>` for a value from the feature store, `<entity key or"
        " request field>` otherwise."
    )
    kind: Literal["number", "category", "local_hour", "local_weekday", "hours_between"] = Field(
        default="number",
        description=(
            "`number` (the default: as it is), `category` (code of the value; unknown is missing),"
            " `local_hour` and `local_weekday` (of a timestamp, in `timezone`; weekday 0 is"
            " Monday), `hours_between` (from the event time to the timestamp)."
        ),
    )
    timezone: str = Field(
        default="UTC", description="Time zone of hours and weekdays. UTC by default."
    )
    monotone: Literal[-1, 0, 1] = Field(
        default=0,
        description=(
            "1 where the prediction may only rise with the value, -1 where it may only fall, 0"
            " where either may happen, as by default."
        ),
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


class RequestField(Part):
    """A value that the caller sends beside the entity keys; it may be null where its column of the
    entity table may be.
    """

    name: str = Field(description="Its name in the request and in the entity table.")
    type: ColumnType | None = Field(
        default=None,
        description="What a caller must send. None by default: the type of its column in the entity"
        " table, which no other may contradict.",
    )
    description: str = Field(default="", description="What the caller is told about it.")


class Serving(Part):
    """The online interface: what a caller sends, from which probability on the decision is
    positive, and how answers are logged.
    """

    entity_keys: tuple[str, ...] = Field(
        description="Columns of the entity table by which features are looked up."
    )
    request_fields: tuple[RequestField, ...] = Field(
        default=(),
        description="Values that the caller sends beside the keys. Empty by default: keys suffice.",
    )
    decision_threshold: Share = Field(
        default=0.5,
        description=(
            "Probability from which on a binary decision is positive. 0.5 by default: both mistakes"
            " cost the same. Other problems decide nothing by it."
        ),
    )
    max_rows: int = Field(
        default=100,
        ge=1,
        description="Largest number of rows of one request. 100 by default: more are batch"
        " scoring.",
    )
    explain_share: Share = Field(
        default=0.0,
        description=(
            "Share of the answers whose contributions are logged, chosen by prediction id. 0 by"
            " default: they cost more than the score itself."
        ),
    )
    stale_features: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "Features older than their time to live: count them as missing (`default`), or refuse"
            " the request."
        ),
    )
    newer_features: Literal["flag", "refuse", "accept"] = Field(
        default="flag",
        description=(
            "Features whose event time is later than the row's own: use them and `flag` the answer,"
            " `refuse` the request, or `accept` them without a word. `flag` by default: the online"
            " store holds the newest values only, so a question about the past knows its future."
        ),
    )
    unknown_entities: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "A key without a feature row: count its features as missing (`default`), or refuse the"
            " request."
        ),
    )
    log_share: Share = Field(
        default=1.0,
        description="Share of the answered rows that are logged, chosen by prediction id. 1 by"
        " default: monitoring sees all.",
    )
    log_days: int | None = Field(
        default=None,
        ge=1,
        description="Days that the tables of the log and of the feedback keep a row. None by"
        " default: for ever.",
    )
    feedback_days: int = Field(
        default=90,
        ge=1,
        description="Days after an answer in which feedback on it is taken. 90 by default.",
    )
    log_full: Literal["refuse", "answer"] = Field(
        default="refuse",
        description=(
            "What happens while the log takes no rows (a full disk, for example): `refuse` (the"
            " default) answers nothing that cannot be logged, `answer` goes on answering, counts"
            " exactly what is missing and raises an alarm (docs/inference-log.md)."
        ),
    )
    log_sync: Literal["answer", "second"] = Field(
        default="answer",
        description=(
            "When rows are on the disk: before their `answer` leaves (the default), or within a"
            " `second` of it; then they outlive every process, and a machine that loses its power"
            " may lose the last second."
        ),
    )
    max_smoke_ms: float = Field(
        default=250.0,
        gt=0.0,
        description=(
            "A release asks the endpoint over HTTP to look up and score the golden rows, again and"
            " again; where the median takes longer, in milliseconds, the release is taken back. 250"
            " by default: what a person does not wait for."
        ),
    )

    @model_validator(mode="after")
    def _declared_once(self, info: ValidationInfo) -> Serving:
        if not is_recorded(info):
            fields = [field.name for field in self.request_fields]
            all_different("serving.entity_keys and request_fields", [*self.entity_keys, *fields])
        return self


class Label(Part):
    """The ground truth: a column of the data set's label table, filled after the fact."""

    column: str = Field(
        description=(
            "The column: 0 or 1 (binary), a number in any unit (regression), or a class or a number"
            " that `problem.bounds` cut (multiclass)."
        )
    )
    description: str = Field(description="What it says, with its unit.")
