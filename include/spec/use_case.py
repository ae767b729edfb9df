"""The whole of a use case, its consistency, and how it is loaded."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, ValidationInfo, model_validator

from include.errors import SpecError
from include.spec.base import Part, is_recorded, one_of, suggestion
from include.spec.checks import check_possible
from include.spec.data_set import DataSet
from include.spec.estimators import Estimator
from include.spec.former import from_former
from include.spec.gates import Gates
from include.spec.operations import (
    Alarms,
    BatchScoring,
    DataChecks,
    Monitoring,
    Target,
    Triggers,
)
from include.spec.problem import Problem
from include.spec.release import Release, Review
from include.spec.request import Serving
from include.spec.tables import CrossTableRule, FeatureTable, Input, Label, Privacy, Table
from include.spec.times import Schedule
from include.spec.training import Golden, Slice, Training

NAME_PATTERN = re.compile(r"^[a-z][a-z0-9_]{2,62}$")


def _service_of_data_set(fields: dict[str, Any]) -> str:
    data_set: DataSet | None = fields.get("data_set")
    return "" if data_set is None else data_set.feature_service


class UseCase(Part):
    """Everything that Flightdeck knows about one use case."""

    name: str = Field(
        description="The use case's name, and that of its registered model, DAGs and endpoint."
    )
    title: str = Field(description="What people call it.")
    owner: str = Field(description="Who answers for the model: an e-mail address.")
    task: str = Field(description="What is predicted, for whom, when.")
    problem: Problem = Field(
        description=(
            "The kind of problem with what only that kind has: thresholds, classes, loss. No"
            " default: its thresholds must be said."
        )
    )
    business_impact: str = Field(description="What a right and a wrong answer are worth.")
    metric: str = Field(description="The metric that decides, and why this one.")
    data: str = Field(description="Source, licence, and what is left out.")
    tags: tuple[str, ...] = Field(
        default=(), description="Words by which its DAGs are found in Airflow. Empty by default."
    )
    data_set: DataSet = Field(
        description=(
            "What is asked and what is learned: tables, id, event time, label table, golden set."
            " With a name where several models share it."
        )
    )
    tables: tuple[Table, ...] = Field(
        description="The tables that it ingests, and those of other use cases that it reads."
    )
    cross_table_rules: tuple[CrossTableRule, ...] = Field(
        default=(),
        description="What rows of two of its tables with the same key say about each other. Empty"
        " by default.",
    )
    feature_tables: tuple[FeatureTable, ...] = Field(
        description="The tables of feature values that it computes, and those that it reads of"
        " other use cases."
    )
    feature_service: str = Field(
        default_factory=_service_of_data_set,
        description="Feast's feature service that its model is served with. The data set's by"
        " default.",
    )
    inputs: tuple[Input, ...] = Field(
        description="The columns of the model's matrix, in their order."
    )
    serving: Serving = Field(description="The online interface.")
    label: Label = Field(description="Which column of the label table is learned.")
    training: Training = Field(description="Window, split, estimator and search.")
    slices: tuple[Slice, ...] = Field(
        default=(), description="Parts of the rows that are judged by themselves. Empty by default."
    )
    baseline_input: str | None = Field(
        default=None,
        description=(
            "The number input that, as it is, predicts: the latest known rate (or value). None by"
            " default: the newest training rows then stand for it."
        ),
    )
    gates: Gates = Field(
        default=Gates(),
        description="What a candidate must meet beyond `problem`. Every gate is on by default.",
    )
    batch: BatchScoring = Field(
        default=BatchScoring(), description="How an interval is scored. See there for the defaults."
    )
    target: Target = Field(
        default=Target(),
        description="The machines that the model is meant for. Those that check it by default.",
    )
    monitoring: Monitoring = Field(
        default=Monitoring(),
        description="When serving counts as decayed. See there for the defaults.",
    )
    data_checks: DataChecks = Field(
        default=DataChecks(), description="What stops data. Every rule is on by default."
    )
    triggers: Triggers = Field(
        default=Triggers(),
        description="What starts a training by itself. See there for the defaults.",
    )
    alarms: Alarms = Field(
        default=Alarms(),
        description="Who hears of its alarms. Every sink of the environment by default.",
    )
    release: Release = Field(
        default=Release(),
        description="How a new version comes into service, and who approves it. Directly by"
        " default.",
    )
    review: Review = Field(
        default=Review(),
        description="Who reviews single decisions that somebody contests. Nobody by default.",
    )
    schedule: Schedule = Field(description="When the processes run.")

    @model_validator(mode="before")
    @classmethod
    def _in_todays_form(cls, values: Any) -> Any:
        return from_former(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _consistent(self) -> UseCase:
        if not NAME_PATTERN.match(self.name):
            raise ValueError(f"name {self.name!r} must match {NAME_PATTERN.pattern}")
        self._check_tables()
        self._check_inputs()
        self._check_data_set()
        self._check_estimator(self.training.estimator)
        self.problem.check(self)
        return self

    @model_validator(mode="after")
    def _possible(self, info: ValidationInfo) -> UseCase:
        if not is_recorded(info):
            check_possible(self)
        return self

    def _check_tables(self) -> None:
        tables = {table.name: table for table in self.tables}
        data = self.data_set
        one_of("data_set.entity_table", data.entity_table, tables)
        one_of("data_set.label_table", data.label_table, tables)
        entity_columns = {column.name for column in tables[self.entity_table].columns}
        for name in (self.id_column, self.event_time, *self.request_columns):
            if name not in entity_columns:
                raise ValueError(
                    f"{name!r} is no column of the entity table"
                    f" {self.entity_table!r}{suggestion(name, entity_columns)}"
                )
        if self.privacy(self.event_time) != "clear":
            raise ValueError(
                f"{self.event_time!r} is the event time, by which the log is cut: its privacy must"
                " be 'clear'"
            )
        label_columns = {column.name for column in tables[data.label_table].columns}
        for name in (self.id_column, self.label.column, data.label_time):
            if name not in label_columns:
                raise ValueError(
                    f"{name!r} is no column of the label table"
                    f" {data.label_table!r}{suggestion(name, label_columns)}"
                )

    def _check_inputs(self) -> None:
        views = [feature_table.view for feature_table in self.feature_tables]
        sent = self.request_columns
        names = [item.name for item in self.inputs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"inputs are declared twice: {repeated}")
        for item in self.inputs:
            if item.view is not None:
                one_of(f"input {item.name!r}: view (of feature_tables)", item.view, views)
            else:
                one_of(
                    f"input {item.name!r}: source (an entity key or request field)",
                    item.source,
                    sent,
                )
        self._check_columns({*names, *sent}, sent)

    def _check_columns(self, columns: set[str], sent: tuple[str, ...]) -> None:
        if self.training.group_by is not None:
            one_of("training.group_by", self.training.group_by, sent)
        for part in self.slices:
            for column in (part.column, part.crossed_with or part.column):
                one_of("slice column", column, columns)
        numbers = {item.name for item in self.inputs if item.kind == "number"}
        self._check_expectations({item.name for item in self.inputs}, numbers, columns)
        if self.baseline_input is not None:
            one_of("baseline_input (an input of kind number)", self.baseline_input, numbers)

    def _check_expectations(self, inputs: set[str], numbers: set[str], columns: set[str]) -> None:
        gates = self.gates
        invariant = [name for declared in gates.invariances for name in declared.inputs]
        declarations = (
            ("gates.invariances", invariant, inputs),
            ("gates.forbidden_inputs", gates.forbidden_inputs, inputs),
            ("gates.directions", [declared.input for declared in gates.directions], numbers),
            ("gates.fairness", [declared.column for declared in gates.fairness], columns),
        )
        for field, names, valid in declarations:
            for name in names:
                if name not in valid:
                    raise ValueError(f"{field} names {name!r}{suggestion(name, valid)}")

    def _check_data_set(self) -> None:
        data = self.training_data
        data.check_holds("label.column", [self.label.column], data.label_columns)
        data.check_holds("serving", self.request_columns, data.columns)
        data.check_holds("inputs", self.feature_references, data.features)

    def _check_estimator(self, estimator: Estimator) -> None:
        monotone = [item.name for item in self.inputs if item.monotone]
        estimator.check(self.training, monotone)
        self.problem.check_monotone(monotone)

    @property
    def id_column(self) -> str:
        """The data set's."""
        return self.data_set.id_column

    @property
    def event_time(self) -> str:
        """The data set's."""
        return self.data_set.event_time

    @property
    def entity_table(self) -> str:
        """The data set's."""
        return self.data_set.entity_table

    @property
    def golden(self) -> Golden | None:
        """The data set's."""
        return self.data_set.golden

    @property
    def request_columns(self) -> tuple[str, ...]:
        """Entity keys and request fields, in this order: what a caller sends."""
        fields = (field.name for field in self.serving.request_fields)
        return tuple(dict.fromkeys([*self.serving.entity_keys, *fields]))

    @property
    def training_data(self) -> DataSet:
        """The data set; one without a name with the columns that the use case needs."""
        return self.data_set.completed(
            name=self.name,
            description=self.data,
            owner=self.owner,
            licence="not declared",
            purpose=self.task,
            sensitivity="internal",
            columns=self.request_columns,
            feature_service=self.feature_service,
            features=tuple(dict.fromkeys(self.feature_references)),
            label_columns=(self.label.column,),
        )

    def dag_id(self, process: str) -> str:
        """`<use_case>__<process>`, the id of the DAG of one process."""
        return f"{self.name}__{process}"

    def table(self, name: str) -> Table:
        """The declared table of that name; `SpecError` lists the declared ones otherwise."""
        for table in self.tables:
            if table.name == name:
                return table
        raise SpecError(
            f"{self.name}: no table {name!r}; declared: {[table.name for table in self.tables]}."
        )

    @property
    def own_tables(self) -> tuple[Table, ...]:
        """The tables that it ingests itself: those that no other use case writes."""
        return tuple(table for table in self.tables if table.written_by is None)

    @property
    def own_feature_tables(self) -> tuple[FeatureTable, ...]:
        """The tables of feature values that it computes itself."""
        return tuple(table for table in self.feature_tables if table.written_by is None)

    def privacy(self, column: str) -> Privacy:
        """How the inference log keeps an id, entity key or request field, as the entity table marks
        it.
        """
        return next(
            declared.privacy
            for declared in self.table(self.entity_table).columns
            if declared.name == column
        )

    @property
    def feature_references(self) -> tuple[str, ...]:
        """`<view>:<feature>` of every input that comes from the feature store, in the inputs'
        order.
        """
        return tuple(item.source for item in self.inputs if item.view is not None)
