"""Use cases are models of the Open Inference Protocol: `<use case>` by entity keys,
`<use case>.features` by all features of a row.

A request's tensors become the rows that `/predict` takes and pass the same checks; an answer's
predictions become tensors. Tensors have no null of their own: in a nullable BYTES tensor an empty
string stands for it, in a nullable FP64 tensor NaN. So nullable integers and booleans (0 and 1) are
described as FP64; a caller without nulls may send them as INT64 and BOOL too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from include.spec import ColumnType, ProblemKind, UseCase
from serving.contract.errors import InvalidError, UnanswerableError
from serving.contract.schema import FEATURES, RequestSchema
from serving.oip.tensors import DATATYPES, InferRequest, TensorSpec, values_of

BY_FEATURES = ".features"
PLATFORM = "flightdeck"
WITH_NULLS = {"INT64": "FP64", "BOOL": "FP64"}
"""Datatypes without a value to spare for null, and what stands in for them."""


@dataclass(frozen=True)
class ModelInterface:
    """One model of the protocol.

    `inputs` are all required; the id column, and what else is optional, may come as one more tensor
    each.
    """

    name: str
    schema: RequestSchema
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    features: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def _path(self) -> re.Pattern[str]:
        """Where a refusal of the row's check stands, whatever its field's name holds."""
        names = sorted({*self.inputs, *self.schema.types}, key=len, reverse=True)
        return re.compile(rf"rows\[(\d+)\](?:\.{FEATURES})?\.({'|'.join(map(re.escape, names))})")

    @property
    def use_case(self) -> UseCase:
        """Return the use case behind it."""
        return self.schema.use_case

    def rows(self, request: InferRequest) -> list[dict[str, Any]]:
        """Return the request as checked rows; raise `InvalidError` with the tensor at fault, such
        as `carrier[3]`.
        """
        columns = self._columns(request)
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InvalidError(
                422, "invalid_tensor", f"The tensors have different numbers of rows: {lengths}."
            )
        rows = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        if self.features:
            rows = [self._with_features(row) for row in rows]
        try:
            return self.schema.validate({"rows": rows})
        except InvalidError as error:
            text = self._path.sub(r"\2[\1]", error.message)
            raise InvalidError(
                error.status,
                error.code,
                text,
                self._path.sub(r"\2[\1]", error.field or "") or None,
                error.valid,
            ) from None

    def binary_outputs(self, request: InferRequest) -> dict[str, bool]:
        """Return the outputs to answer with, and whether as bytes: those asked for, or all."""
        for name in request.outputs:
            if name not in self.outputs:
                raise InvalidError(
                    422,
                    "unknown_tensor",
                    f"{self.name} has no output {name!r}.",
                    name,
                    sorted(self.outputs),
                )
        return request.outputs or dict.fromkeys(self.outputs, request.binary)

    def metadata(self, versions: Sequence[int]) -> dict[str, Any]:
        """Return the protocol's model metadata."""
        return {
            "name": self.name,
            "versions": [str(version) for version in versions],
            "platform": PLATFORM,
            "inputs": [_described(spec) for spec in self.inputs.values()],
            "outputs": [_described(spec) for spec in self.outputs.values()],
        }

    def _columns(self, request: InferRequest) -> dict[str, list[Any]]:
        optional = {name: tensor_spec(self.schema, name) for name in self.schema.optional}
        tensors = {**optional, **self.inputs}
        columns: dict[str, list[Any]] = {}
        for tensor in request.inputs:
            if tensor.name not in tensors:
                raise InvalidError(
                    422,
                    "unknown_tensor",
                    f"{self.name} has no input {tensor.name!r}.",
                    tensor.name,
                    list(tensors),
                )
            if tensor.name in columns:
                raise InvalidError(
                    422,
                    "duplicate_tensor",
                    f"The tensor {tensor.name!r} is there twice.",
                    tensor.name,
                )
            own = TensorSpec(tensor.name, DATATYPES[self._types[tensor.name]])
            spec = own if tensor.datatype == own.datatype else tensors[tensor.name]
            values = values_of(tensor, spec)
            columns[tensor.name] = self._nulls(tensor.name, values)
        missing = [name for name in self.inputs if name not in columns]
        if missing:
            raise InvalidError(
                422,
                "missing_tensor",
                f"The tensors {missing} are missing.",
                missing[0],
                list(self.inputs),
            )
        return columns

    def _nulls(self, name: str, values: list[Any]) -> list[Any]:
        if name not in self.schema.nullable:
            return values
        # NaN is the only value that differs from itself.
        cleared = [
            None if value == "" or (isinstance(value, float) and value != value) else value
            for value in values
        ]
        if self._types[name] != "boolean":
            return cleared
        return [
            bool(value) if type(value) in (int, float) and value in (0, 1) else value
            for value in cleared
        ]

    @cached_property
    def _types(self) -> dict[str, ColumnType]:
        return {**self.schema.features, **self.schema.types}

    def _with_features(self, row: dict[str, Any]) -> dict[str, Any]:
        features = {name: value for name, value in row.items() if name in self.features}
        return {
            **{name: value for name, value in row.items() if name not in self.features},
            FEATURES: features,
        }


def model_interface(schema: RequestSchema, name: str) -> ModelInterface:
    """Return the interface that a model name asks for: a use case's own, or the one by features."""
    required = [column for column in schema.types if column not in schema.optional]
    features = schema.features if name.endswith(BY_FEATURES) else {}
    inputs = {column: tensor_spec(schema, column) for column in (*required, *features)}
    outputs = {output.name: output for output in (*SCORES[schema.use_case.problem.kind], *ALWAYS)}
    return ModelInterface(name, schema, inputs, outputs, frozenset(features))


def tensor_spec(schema: RequestSchema, name: str) -> TensorSpec:
    """Return the tensor of one field of a row, of a datatype that holds all its values."""
    datatype = DATATYPES[{**schema.features, **schema.types}[name]]
    if name in schema.nullable:
        datatype = WITH_NULLS.get(datatype, datatype)
    return TensorSpec(name, datatype)


def interfaces(schemas: dict[str, RequestSchema]) -> dict[str, ModelInterface]:
    """Return all models of the protocol by name."""
    names = [
        (name + ending, schema) for name, schema in schemas.items() for ending in ("", BY_FEATURES)
    ]
    return {name: model_interface(schema, name) for name, schema in names}


def select(models: dict[str, ModelInterface], name: str) -> ModelInterface:
    """Return the model of that name; raise `UnanswerableError` (404) listing the others."""
    if name not in models:
        raise UnanswerableError(
            404, "unknown_model", f"There is no model {name!r} here.", valid=sorted(models)
        )
    return models[name]


def check_version(name: str, version: str, serving: Sequence[int]) -> int | None:
    """Return the version that was asked for, None where none was; raise `UnanswerableError` (404)
    unless it serves.
    """
    if not version:
        return None
    valid = [str(number) for number in serving]
    if version not in valid:
        raise UnanswerableError(
            404,
            "unknown_version",
            f"Version {version!r} of {name} is not in service.",
            "version",
            valid,
        )
    return int(version)


SCORES: dict[ProblemKind, tuple[TensorSpec, ...]] = {
    "binary": (TensorSpec("probability", "FP64"), TensorSpec("decision", "BOOL")),
    "regression": (TensorSpec("value", "FP64"),),
    "multiclass": (TensorSpec("class", "BYTES"),),
}
ALWAYS = (
    TensorSpec("prediction_id", "BYTES"),
    TensorSpec("flags", "BYTES"),
    TensorSpec("model_version", "INT64"),
)


def output_values(predictions: list[dict[str, Any]], name: str) -> list[Any]:
    """Return one output of all predictions; flags become one text per row, separated by commas."""
    return [",".join(row[name]) if name == "flags" else row[name] for row in predictions]


def _described(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": [-1]}
