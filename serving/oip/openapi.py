"""The protocol's routes in the OpenAPI document.

A body's schema says what form a request has; which tensors a model takes, how many elements they
have and that these fit the shape is said by the model's own metadata, and refused with 422.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from serving.contract.schema import RequestSchema
from serving.oip.interface import ModelInterface
from serving.oip.rest_request import REQUEST
from serving.scoring.example import Example

TEMPLATE = "#/components/schemas/{model}"
_TENSOR = {
    "name": {"type": "string"},
    "datatype": {"type": "string"},
    "shape": {"type": "array", "items": {"type": "integer"}},
}
_STRINGS = {"type": "array", "items": {"type": "string"}}


def components() -> dict[str, Any]:
    """Return the protocol's messages."""
    request = REQUEST.json_schema(ref_template=TEMPLATE)
    tensors = {
        "type": "array",
        "items": {"type": "object", "properties": _TENSOR, "required": list(_TENSOR)},
    }
    output = {**_TENSOR, "data": {"type": "array"}, "parameters": {"type": "object"}}
    answer = {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {
            "type": "array",
            "items": {"type": "object", "properties": output, "required": list(_TENSOR)},
        },
    }
    metadata = {
        "name": {"type": "string"},
        "versions": _STRINGS,
        "platform": {"type": "string"},
        "inputs": tensors,
        "outputs": tensors,
    }
    error = {
        "error": {"type": "string"},
        "code": {"type": "string"},
        "field": {"type": ["string", "null"]},
    }
    return {
        **request.pop("$defs"),
        "InferRequest": request,
        "InferAnswer": _object(answer, ("model_name", "outputs")),
        "InferModel": _object(metadata, metadata),
        "InferServer": _object(
            {"name": {"type": "string"}, "version": {"type": "string"}, "extensions": _STRINGS},
            ("name", "extensions"),
        ),
        "InferHealth": _object(
            {"name": {"type": "string"}, "live": {"type": "boolean"}, "ready": {"type": "boolean"}},
            (),
        ),
        "InferError": _object(error, error),
    }


def paths(
    models: Mapping[str, ModelInterface],
    errors: Mapping[str, str],
    examples: Mapping[str, Example],
) -> dict[str, Any]:
    """Return the protocol's routes, for each of its models, with the use cases' `examples`."""
    health, gone = ("InferHealth",), ("500", "503")
    routes: dict[str, Any] = {
        "/v2": {
            "get": _operation(
                "oip_server", "The protocol's server metadata.", "InferServer", (), errors
            )
        },
        "/v2/health/live": {
            "get": _operation(
                "oip_live", "Can the process answer at all?", *health, (), errors, "InferHealth"
            )
        },
        "/v2/health/ready": {
            "get": _operation(
                "oip_ready", "Can any model be asked?", *health, (), errors, "InferHealth"
            )
        },
    }
    for name, model in models.items():
        tag, base = name.replace(".", "_"), f"/v2/models/{name}"
        infer = _operation(
            f"oip_infer_{tag}", "Predictions as tensors.", "InferAnswer", INFER_ERRORS, errors
        )
        # What was asked for as bytes lies behind the JSON (`binary_data`, `binary_data_output`).
        infer["responses"]["200"]["content"]["application/octet-stream"] = {
            "schema": {"type": "string", "format": "binary"}
        }
        body = {
            "schema": {"$ref": TEMPLATE.format(model="InferRequest")},
            "examples": {"example": {"value": _example(model, examples.get(model.use_case.name))}},
        }
        routes[base] = {
            "get": _operation(
                f"oip_model_{tag}", "The model's tensors.", "InferModel", gone, errors
            )
        }
        routes[f"{base}/ready"] = {
            "get": _operation(
                f"oip_ready_{tag}", "Can it be asked?", *health, ("500",), errors, "InferHealth"
            )
        }
        routes[f"{base}/infer"] = {
            "post": {
                **infer,
                "requestBody": {"required": True, "content": {"application/json": body}},
            }
        }
    return routes


INFER_ERRORS = ("400", "408", "413", "415", "422", "429", "500", "503", "504")
_VALUES = {
    "string": "AA",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "timestamp": "2013-04-01T12:00:00Z",
}


def _example(model: ModelInterface, example: Example | None) -> dict[str, Any]:
    kinds = {**model.schema.types, **model.schema.features}
    values = _categories(model.schema) if example is None else _tensor_values(example, kinds)
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": tensor.datatype,
            "data": [values.get(name, _VALUES[kinds[name]])],
        }
        for name, tensor in model.inputs.items()
    ]
    return {"inputs": inputs}


def _tensor_values(example: Example, kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return the example's values as tensors hold them: an empty text is null, and JSON has no NaN
    for a number.
    """
    values = {**example.features, **example.row}
    return {name: value for name, value in values.items() if value is not None} | {
        name: ""
        for name, value in values.items()
        if value is None and kinds[name] in ("string", "timestamp")
    }


def _categories(schema: RequestSchema) -> dict[str, str]:
    columns = schema.use_case.table(schema.use_case.entity_table).columns
    return {column.name: column.categories[0] for column in columns if column.categories}


def _object(properties: Mapping[str, Any], required: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def _operation(
    identifier: str,
    summary: str,
    answer: str,
    refusals: Iterable[str],
    texts: Mapping[str, str],
    unready: str | None = None,
) -> dict[str, Any]:
    def content(component: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": TEMPLATE.format(model=component)}}}

    responses = {"200": {"description": "OK", "content": content(answer)}}
    # The keys are asked for in front of every protocol.
    responses["401"] = {"description": texts["401"], "content": content("ErrorAnswer")}
    responses.update(
        {
            status: {"description": texts[status], "content": content("InferError")}
            for status in refusals
        }
    )
    if unready is not None:
        responses["503"] = {"description": "No.", "content": content(unready)}
    return {"operationId": identifier, "summary": summary, "responses": responses}
