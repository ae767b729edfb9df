"""The whole of a use case, its consistency, and how it is loaded."""

from __future__ import annotations

import re

from pydantic import Field, model_validator

from include.errors import SpecError
from include.spec.base import Part
from include.spec.data_set import DataSet
from include.spec.gates import Gates
from include.spec.operations import BatchScoring, DataChecks, Monitoring, Schedule, Target, Triggers
from include.spec.problem import Problem, check_problem
from include.spec.tables import FeatureTable, Input, Label, Privacy, Serving, Table
from include.spec.training import Golden, Slice, Training

NAME_PATTERN = re.compile(r"^[a-z][a-z0-9_]{2,62}$")


class UseCase(Part):
    """Everything that Flightdeck knows about one use case."""

    name: str
    title: str
    owner: str = Field(description="Who answers for the model: an e-mail address.")
    task: str = Field(description="What is predicted, for whom, when.")
    problem: Problem = "binary"
    business_impact: str
    metric: str = Field(description="The metric that decides, and why this one.")
    data: str = Field(description="Source, licence, and what is left out.")
    tags: tuple[str, ...] = ()
    id_column: str = Field(description="Identifies one prediction target, e.g. one flight.")
    event_time: str = Field(description="Column with the moment at which the question is asked.")
    entity_table: str = Field(
        description="Table with one row per target: its id, event time, keys and request fields."
    )
    tables: tuple[Table, ...]
    feature_tables: tuple[FeatureTable, ...]
    feature_service: str
    inputs: tuple[Input, ...]
    serving: Serving
    label: Label
    training: Training
    slices: tuple[Slice, ...] = ()
    golden: Golden | None = None
    data_set: DataSet | None = Field(
        default=None,
        description="What it trains on, where several models share it; its own data set if not.",
    )
    baseline_input: str | None = Field(
        default=None,
        description="The number input that, as it is, predicts: the latest known rate.",
    )
    gates: Gates
    batch: BatchScoring = BatchScoring()
    target: Target = Target()
    monitoring: Monitoring = Monitoring()
    data_checks: DataChecks = DataChecks()
    triggers: Triggers = Triggers()
    schedule: Schedule

    @model_validator(mode="after")
    def _consistent(self) -> UseCase:
        if not NAME_PATTERN.match(self.name):
            raise ValueError(f"name {self.name!r} must match {NAME_PATTERN.pattern}")
        self._check_tables()
        self._check_inputs()
        self._check_data_set()
        check_problem(self)
        return self

    def _check_tables(self) -> None:
        tables = {table.name: table for table in self.tables}
        for field, name in (("entity_table", self.entity_table), ("label.table", self.label.table)):
            if name not in tables:
                raise ValueError(f"{field} is {name!r}, which is not among tables {sorted(tables)}")
        entity_columns = {column.name for column in tables[self.entity_table].columns}
        request_fields = [field.name for field in self.serving.request_fields]
        for name in (self.id_column, self.event_time, *self.serving.entity_keys, *request_fields):
            if name not in entity_columns:
                raise ValueError(
                    f"{name!r} is no column of the entity table {self.entity_table!r}"
                    f" ({sorted(entity_columns)})"
                )
        if self.privacy(self.event_time) != "clear":
            raise ValueError(
                f"{self.event_time!r} is the event time, by which the log is cut: its privacy must"
                " be 'clear'"
            )
        label_columns = {column.name for column in tables[self.label.table].columns}
        for name in (self.id_column, self.label.column, self.label.time_column):
            if name not in label_columns:
                raise ValueError(
                    f"{name!r} is no column of the label table {self.label.table!r}"
                    f" ({sorted(label_columns)})"
                )

    def _check_inputs(self) -> None:
        views = {feature_table.view for feature_table in self.feature_tables}
        given = {*self.serving.entity_keys, *(field.name for field in self.serving.request_fields)}
        names = [item.name for item in self.inputs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"inputs are declared twice: {repeated}")
        for item in self.inputs:
            if item.view is not None and item.view not in views:
                raise ValueError(
                    f"input {item.name!r}: view {item.view!r} is not among feature_tables"
                    f" {sorted(views)}"
                )
            if item.view is None and item.source not in given:
                raise ValueError(
                    f"input {item.name!r}: source {item.source!r} is neither an entity key nor a"
                    f" request field {sorted(given)}"
                )
        self._check_columns({*names, *given}, given)

    def _check_columns(self, columns: set[str], given: set[str]) -> None:
        if self.training.group_by is not None and self.training.group_by not in given:
            raise ValueError(
                f"training.group_by is {self.training.group_by!r}; valid: an entity key or request"
                f" field {sorted(given)}"
            )
        for column in (
            name for part in self.slices for name in (part.column, part.crossed_with or part.column)
        ):
            if column not in columns:
                raise ValueError(
                    f"slice column {column!r} is neither an input nor an entity key"
                    f" {sorted(columns)}"
                )
        numbers = {item.name for item in self.inputs if item.kind == "number"}
        self._check_expectations({item.name for item in self.inputs}, numbers, columns)
        if self.baseline_input is not None and self.baseline_input not in numbers:
            raise ValueError(
                f"baseline_input {self.baseline_input!r} is no input of kind number"
                f" {sorted(numbers)}"
            )

    def _check_expectations(self, inputs: set[str], numbers: set[str], columns: set[str]) -> None:
        gates = self.gates
        invariant = [name for declared in gates.invariances for name in declared.inputs]
        wanted = (
            ("gates.invariances", invariant, inputs),
            ("gates.forbidden_inputs", gates.forbidden_inputs, inputs),
            ("gates.directions", [declared.input for declared in gates.directions], numbers),
            ("gates.fairness", [declared.column for declared in gates.fairness], columns),
        )
        for field, names, valid in wanted:
            for name in names:
                if name not in valid:
                    raise ValueError(f"{field} names {name!r}; valid: {sorted(valid)}")

    def _check_data_set(self) -> None:
        data = self.data_set
        if data is None:
            return
        same = (
            ("id_column", self.id_column, data.id_column),
            ("event_time", self.event_time, data.event_time),
            ("entity_table", self.entity_table, data.entity_table),
            ("label.table", self.label.table, data.label_table),
            ("label.time_column", self.label.time_column, data.label_time),
            ("golden", self.golden, data.golden),
        )
        for field, ours, declared in same:
            if ours != declared:
                raise ValueError(
                    f"{field} is {ours!r}, and the data set {data.name!r} says {declared!r}; a use"
                    " case takes it over unchanged"
                )
        fields = [field.name for field in self.serving.request_fields]
        within = (
            ("label.column", [self.label.column], data.label_columns),
            ("serving", [*self.serving.entity_keys, *fields], data.columns),
            ("inputs", self.feature_references, data.features),
        )
        for field, names, valid in within:
            for name in names:
                if name not in valid:
                    raise ValueError(
                        f"{field} names {name!r}, which the data set {data.name!r} does not hold;"
                        f" it holds {sorted(valid)}"
                    )

    @property
    def training_data(self) -> DataSet:
        """The declared data set; for a use case without one, a set of its own name with the columns
        that it needs.
        """
        if self.data_set is not None:
            return self.data_set
        return DataSet(
            name=self.name,
            description=self.data,
            owner=self.owner,
            licence="not declared",
            purpose=self.task,
            sensitivity="internal",
            entity_table=self.entity_table,
            id_column=self.id_column,
            event_time=self.event_time,
            columns=tuple(
                dict.fromkeys(
                    [
                        *self.serving.entity_keys,
                        *(field.name for field in self.serving.request_fields),
                    ]
                )
            ),
            feature_service=self.feature_service,
            features=tuple(dict.fromkeys(self.feature_references)),
            label_table=self.label.table,
            label_time=self.label.time_column,
            label_columns=(self.label.column,),
            golden=self.golden,
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
