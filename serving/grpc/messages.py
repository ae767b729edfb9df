"""Between the protocol's gRPC messages and the tensors of `serving.oip`."""

from __future__ import annotations

from typing import Any

from serving.contract.errors import InvalidError
from serving.grpc import open_inference_pb2 as messages
from serving.oip.answering import InferAnswer
from serving.oip.tensors import DTYPES, InferRequest, InputTensor, no_parameters, to_bytes

CONTENTS = {
    "BOOL": "bool_contents",
    "INT64": "int64_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def read_request(request: Any) -> InferRequest:
    """Return the request, its tensors raw or listed as they came; raise `InvalidError`."""
    no_parameters(request.parameters, (), "parameters")
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        text = (
            f"There are {len(raw)} raw_input_contents for {len(request.inputs)} inputs; one for"
            " each, or none."
        )
        raise InvalidError(422, "invalid_tensor", text, "raw_input_contents")
    inputs = []
    for position, tensor in enumerate(request.inputs):
        no_parameters(tensor.parameters, (), f"inputs[{position}].parameters")
        if raw and tensor.HasField("contents"):
            text = (
                f"The tensor {tensor.name!r} has contents beside raw_input_contents; send one of"
                " them."
            )
            raise InvalidError(422, "invalid_tensor", text, tensor.name)
        shape = tuple(tensor.shape)
        content = raw[position] if raw else None
        inputs.append(
            InputTensor(
                tensor.name, tensor.datatype, shape, None if raw else _listed(tensor), content
            )
        )
    outputs = {}
    for position, output in enumerate(request.outputs):
        no_parameters(output.parameters, (), f"outputs[{position}].parameters")
        outputs[output.name] = True
    return InferRequest(inputs, outputs, request.id, binary=True)


def write_answer(answer: InferAnswer) -> Any:
    """Return the answer with raw contents."""
    outputs = [
        messages.ModelInferResponse.InferOutputTensor(
            name=tensor.name, datatype=tensor.datatype, shape=[len(tensor.values)]
        )
        for tensor in answer.outputs
    ]
    return messages.ModelInferResponse(
        model_name=answer.model,
        model_version=answer.version,
        id=answer.identifier,
        outputs=outputs,
        raw_output_contents=[to_bytes(tensor.datatype, tensor.values) for tensor in answer.outputs],
    )


def _listed(tensor: Any) -> list[Any]:
    if tensor.datatype not in DTYPES:
        raise InvalidError(
            422,
            "invalid_tensor",
            f"The tensor {tensor.name!r} has the datatype {tensor.datatype!r}.",
            tensor.name,
            list(DTYPES),
        )
    values = list(getattr(tensor.contents, CONTENTS[tensor.datatype]))
    if tensor.datatype != "BYTES":
        return values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as error:
        raise InvalidError(
            422,
            "invalid_utf8",
            f"The tensor {tensor.name!r} holds an element that is not UTF-8.",
            tensor.name,
        ) from error
