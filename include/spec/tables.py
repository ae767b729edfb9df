"""What a use case reads and what it answers: tables, features, model inputs, the online interface,
the label.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from include.spec.base import Part, Share

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp"]
Privacy = Literal["clear", "hash", "drop"]


class Column(Part):
    """One column of a table and what a valid value is.

    `max_null_share` is the largest share of nulls (0 to 1). `minimum` and `maximum` are inclusive
    and in the column's unit. `categories` is the closed set of values; `unseen_share` of the rows
    may hold others. `sentinels`, `max_psi`, `max_shift` and `max_new_share` replace the use case's
    `DataChecks` for this column (a season moves the temperature more than a fault does). `privacy`
    says how the inference log keeps a value that a caller sends under this name: `clear`, as keyed
    `hash` (the same value gives the same text, which nobody without the key can undo or guess), or
    not at all (`drop`). It is read from the entity table.
    """

    name: str
    type: ColumnType
    max_null_share: Share = 0.0
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    unseen_share: Share = 0.0
    sentinels: tuple[float | str, ...] | None = None
    max_psi: float | None = Field(default=None, gt=0.0)
    max_shift: float | None = Field(default=None, gt=0.0)
    max_new_share: Share | None = None
    privacy: Privacy = "clear"
    description: str = ""


class RowRule(Part):
    """What `columns` of one row say about each other: `holds` is a condition in SQL over them, as
    in a CHECK constraint.

    A row for which it is unknown (a null in it) breaks nothing, as in SQL. `max_broken_share` of
    the rows may break it.
    """

    name: str
    columns: tuple[str, ...] = Field(min_length=1)
    holds: str
    max_broken_share: Share = 0.0


class Table(Part):
    """One table that the use case ingests.

    `time_column` says when a row became known: windows of ingestion and every cut-off are cut along
    it. `None` marks a static table, which is replaced as a whole. `key` identifies a row;
    `minimum_rows` is per ingested window. `row_rules` hold in each row by itself.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    time_column: str | None
    minimum_rows: int = 1
    row_rules: tuple[RowRule, ...] = ()
    description: str = ""

    @model_validator(mode="after")
    def _columns_exist(self) -> Table:
        names = {column.name for column in self.columns}
        for name in (*self.key, *([self.time_column] if self.time_column else [])):
            if name not in names:
                raise ValueError(
                    f"table {self.name!r}: {name!r} is in key or time_column but not in columns"
                    f" ({sorted(names)})"
                )
        for rule in self.row_rules:
            if not set(rule.columns) <= names:
                raise ValueError(
                    f"table {self.name!r}: row rule {rule.name!r} reads {rule.columns}; valid: its"
                    f" columns {sorted(names)}"
                )
        return self


class FeatureTable(Part):
    """One table of feature values, computed from the source tables and named like its Feast feature
    view.

    `timestamp` is the moment at which a row's values were known. `None` in `windowed` marks a
    static table.
    """

    view: str
    table: str
    timestamp: str = "event_timestamp"
    windowed: bool = True


class Input(Part):
    """One column of the model's matrix: where its value comes from and how it is turned into a
    number.

    `source` is `<feature view>:<feature>` for a value from the feature store, `<entity or request
    field>` otherwise. `kind`: `number` (as is), `category` (code of the value; unknown is missing),
    `local_hour` and `local_weekday` (of a timestamp, in `timezone`; weekday 0 is Monday),
    `hours_between` (from the event time to the timestamp). `monotone`: 1 where the prediction may
    only rise with the value, -1 where it may only fall, 0 where either may happen.
    """

    name: str
    source: str
    kind: Literal["number", "category", "local_hour", "local_weekday", "hours_between"] = "number"
    timezone: str = "UTC"
    monotone: Literal[-1, 0, 1] = 0
    description: str = ""

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
    """A value that the caller sends beside the entity keys."""

    name: str
    type: ColumnType
    description: str = ""


class Serving(Part):
    """The online interface: what a caller sends, from which probability on the decision is
    positive, and how answers are logged.

    `log_share` of the answered rows are logged, chosen by their prediction ids. `log_days` is how
    long the log's table and the feedback's keep a row (None: for ever), `feedback_days` how long
    after an answer feedback on it is taken. `log_sync` says when rows are on the disk: before their
    `answer` leaves, or within a `second` of it; then they outlive every process, and a machine that
    loses its power may lose the last second. `log_full` says what happens while the log takes no
    rows (a full disk, for example): `refuse` answers nothing that cannot be logged, `answer` goes
    on answering, counts exactly what is missing and raises an alarm (docs/inference-log.md).
    `max_smoke_ms`: a release asks the endpoint over HTTP to look up and score the golden rows,
    again and again; where the median takes longer (milliseconds), the release is taken back.
    """

    entity_keys: tuple[str, ...]
    request_fields: tuple[RequestField, ...] = ()
    decision_threshold: Share = 0.5
    max_rows: int = Field(default=100, ge=1)
    explain_share: Share = Field(
        default=0.0,
        description="Share of the answers whose contributions are logged, chosen by prediction id.",
    )
    stale_features: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "Features older than their time to live: count them as missing, or refuse the request."
        ),
    )
    unknown_entities: Literal["default", "refuse"] = Field(
        default="default",
        description=(
            "A key without a feature row: count its features as missing, or refuse the request."
        ),
    )
    log_share: Share = 1.0
    log_days: int | None = Field(default=None, ge=1)
    feedback_days: int = Field(default=90, ge=1)
    log_full: Literal["refuse", "answer"] = "refuse"
    log_sync: Literal["answer", "second"] = "answer"
    max_smoke_ms: float = Field(default=250.0, gt=0.0)


class Label(Part):
    """The ground truth: a table of its own, filled after the fact.

    Rows of `table` carry `id_column`, `column` and `time_column`, the moment the label became
    known. `column` holds 0 or 1 (binary), a number in any unit (regression) or one of `classes`
    (multiclass). Where a multiclass column holds numbers, `bounds` cut them into classes: the
    largest value of every class but the last. `positive` is the class whose prediction the fairness
    gates watch.
    """

    table: str
    column: str
    time_column: str
    description: str
    classes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    positive: str | None = None
