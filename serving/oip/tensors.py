"""The tensors of the Open Inference Protocol, version 2: one row per element, as columns of plain
Python values.

They come as JSON lists, as gRPC's typed lists or as little-endian bytes (the binary tensor data
extension, and gRPC's raw contents).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from include.spec import ColumnType
from serving.contract.errors import InvalidError

DTYPES = {
    "BOOL": np.dtype("?"),
    "INT64": np.dtype("<i8"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype("O"),
}
DATATYPES: dict[ColumnType, str] = {
    "string": "BYTES",
    "timestamp": "BYTES",
    "integer": "INT64",
    "number": "FP64",
    "boolean": "BOOL",
}


@dataclass(frozen=True)
class TensorSpec:
    """One tensor of a model's interface: a vector with one element per row."""

    name: str
    datatype: str


@dataclass(frozen=True)
class InputTensor:
    """One tensor of a request, its values still as they came: `listed` or `raw`."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    listed: list[Any] | None = None
    raw: bytes | None = None


@dataclass(frozen=True)
class InferRequest:
    """One request for inference over either transport.

    `outputs` maps the tensors that are asked for to whether they shall be bytes.
    """

    inputs: list[InputTensor]
    outputs: dict[str, bool] = field(default_factory=dict)
    identifier: str = ""
    binary: bool = False


def values_of(tensor: InputTensor, spec: TensorSpec) -> list[Any]:
    """Return the tensor's elements, one per row; raise `InvalidError` unless datatype, shape and
    data fit each other and the interface.
    """
    if tensor.datatype != spec.datatype:
        raise _wrong(tensor, f"has the datatype {tensor.datatype!r}", [spec.datatype])
    rows = _rows(tensor)
    values = (
        _from_raw(tensor, tensor.raw, rows)
        if tensor.raw is not None
        else _flat(tensor, tensor.listed or [])
    )
    if len(values) != rows:
        raise _wrong(
            tensor,
            f"holds {len(values)} elements for the shape {list(tensor.shape)}",
            [f"{rows} elements"],
        )
    return values


def to_bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Return the elements as the protocol's raw bytes."""
    if datatype == "BYTES":
        encoded = [str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    return np.asarray(values, dtype=DTYPES[datatype]).tobytes()


def no_parameters(parameters: Any, valid_names: tuple[str, ...], where: str) -> None:
    """Raise `InvalidError` for a parameter that would change nothing: nobody should believe that it
    did.
    """
    for name in parameters:
        if name not in valid_names:
            valid = list(valid_names) or ["no parameter"]
            raise InvalidError(
                422,
                "unknown_parameter",
                f"The parameter {name!r} means nothing here.",
                f"{where}.{name}",
                valid,
            )


def _rows(tensor: InputTensor) -> int:
    shape = tensor.shape
    if len(shape) not in (1, 2) or min(shape) < 0 or (len(shape) == 2 and shape[1] != 1):
        raise _wrong(tensor, f"has the shape {list(shape)}", ["[rows]", "[rows, 1]"])
    return shape[0]


def _flat(tensor: InputTensor, listed: list[Any]) -> list[Any]:
    if (
        len(tensor.shape) == 2
        and listed
        and all(isinstance(row, list) and len(row) == 1 for row in listed)
    ):
        return [row[0] for row in listed]
    return listed


def _from_raw(tensor: InputTensor, raw: bytes, rows: int) -> list[Any]:
    if tensor.datatype == "BYTES":
        return [
            _decoded(tensor, element, position)
            for position, element in enumerate(_elements(tensor, raw))
        ]
    dtype = DTYPES[tensor.datatype]
    if len(raw) != rows * dtype.itemsize:
        raise _wrong(
            tensor, f"holds {len(raw)} bytes for {rows} rows", [f"{rows * dtype.itemsize} bytes"]
        )
    if tensor.datatype == "BOOL" and raw.translate(None, b"\0\1"):
        raise _wrong(tensor, "holds a byte that is neither 0 nor 1", ["0 and 1"])
    values: list[Any] = np.frombuffer(raw, dtype=dtype).tolist()
    return values


def _elements(tensor: InputTensor, raw: bytes) -> list[bytes]:
    elements, position = [], 0
    while position < len(raw):
        length = int.from_bytes(raw[position : position + 4], "little")
        position += 4 + length
        if position > len(raw):
            raise _wrong(
                tensor,
                "ends in the middle of an element",
                ["each element after its length in 4 bytes, little-endian"],
            )
        elements.append(raw[position - length : position])
    return elements


def _decoded(tensor: InputTensor, element: bytes, position: int) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise InvalidError(
            422,
            "invalid_utf8",
            f"{tensor.name}[{position}] is not UTF-8.",
            f"{tensor.name}[{position}]",
        ) from error


def _wrong(tensor: InputTensor, text: str, valid: list[str]) -> InvalidError:
    return InvalidError(
        422, "invalid_tensor", f"The tensor {tensor.name!r} {text}.", tensor.name, valid
    )
