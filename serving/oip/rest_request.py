"""The body of an inference request over REST: a JSON document, and behind it the bytes of its
binary tensors.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request

from include.spec.values import LARGEST_INTEGER
from serving.contract.body import parse
from serving.contract.errors import UnreadableError
from serving.contract.schema import Integer, invalid, strict_object
from serving.oip.tensors import InferRequest, InputTensor

HEADER_LENGTH = "inference-header-content-length"
MOST_TENSORS = 1000

_Name = Annotated[str, Field(min_length=1, max_length=200)]


def _not_negative(number: int) -> int:
    if number < 0:
        raise PydanticCustomError("negative", "must not be negative")
    return number


_Size = Annotated[
    Integer,
    AfterValidator(_not_negative),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LARGEST_INTEGER}),
]


def _parameters(name: str, **types: Any) -> Any:
    """Return an object of optional parameters: one that would change nothing is refused, so that
    nobody believes that it did.
    """
    fields = {field: NotRequired[kind] for field, kind in types.items()}
    return NotRequired[strict_object(name, fields)]


_input: Any = strict_object(
    "InferInput",
    {
        "name": _Name,
        "shape": Annotated[list[_Size], Field(min_length=1, max_length=2)],
        "datatype": Annotated[str, Field(max_length=20)],
        "parameters": _parameters("InferInputParameters", binary_data_size=_Size),
        "data": NotRequired[list[Any]],
    },
)
_output: Any = strict_object(
    "InferRequestedOutput",
    {"name": _Name, "parameters": _parameters("InferOutputParameters", binary_data=bool)},
)
REQUEST = TypeAdapter[Any](
    strict_object(
        "InferRequest",
        {
            "id": NotRequired[Annotated[str, Field(max_length=200)]],
            "parameters": _parameters("InferParameters", binary_data_output=bool),
            "inputs": Annotated[list[_input], Field(min_length=1, max_length=MOST_TENSORS)],
            "outputs": NotRequired[Annotated[list[_output], Field(max_length=MOST_TENSORS)]],
        },
    )
)


def read_request(request: Request, body: bytes) -> InferRequest:
    """Return the request from its JSON header and the bytes behind it; raise `RequestError`."""
    header, rest = _split(request, body)
    try:
        document = REQUEST.validator.validate_python(parse(header))
    except ValidationError as error:
        raise invalid(error, lambda _: None, lambda _: None) from error
    inputs = []
    for position, tensor in enumerate(document["inputs"]):
        where = f"inputs[{position}]"
        size = tensor.get("parameters", {}).get("binary_data_size")
        if (size is None) == ("data" not in tensor):
            raise UnreadableError(
                422,
                "invalid_tensor",
                f"{where} needs either data or parameters.binary_data_size.",
                f"{where}.data",
            )
        raw = None
        if size is not None:
            if size > len(rest):
                text = (
                    f"{where} announces {size} bytes; {len(rest)} are left behind the JSON header."
                )
                raise UnreadableError(
                    422, "invalid_tensor", text, f"{where}.parameters.binary_data_size"
                )
            raw, rest = rest[:size], rest[size:]
        inputs.append(
            InputTensor(
                tensor["name"], tensor["datatype"], tuple(tensor["shape"]), tensor.get("data"), raw
            )
        )
    if rest:
        raise UnreadableError(
            400, "malformed_body", f"{len(rest)} bytes behind the JSON header belong to no input."
        )
    binary = document.get("parameters", {}).get("binary_data_output") is True
    outputs: dict[str, bool] = {}
    for output in document.get("outputs", []):
        outputs[output["name"]] = output.get("parameters", {}).get("binary_data", binary) is True
    return InferRequest(inputs, outputs, document.get("id", ""), binary)


def _split(request: Request, body: bytes) -> tuple[bytes, bytes]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # The reference clients send no content type with plain JSON.
    if media not in ("", "application/json", "application/octet-stream"):
        valid = ["application/json", f"application/octet-stream with {HEADER_LENGTH}"]
        raise UnreadableError(
            415, "unsupported_media_type", f"The content type is {media!r}.", valid=valid
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnreadableError(
            415, "unsupported_encoding", "The content is encoded.", valid=["identity"]
        )
    length = request.headers.get(HEADER_LENGTH)
    if length is None:
        return body, b""
    if not (
        length.isascii() and length.isdigit() and len(length) < 10 and int(length) <= len(body)
    ):
        text = f"{HEADER_LENGTH} is {length!r}, the body has {len(body)} bytes."
        raise UnreadableError(400, "malformed_body", text, HEADER_LENGTH, [f"0 to {len(body)}"])
    return body[: int(length)], body[int(length) :]
