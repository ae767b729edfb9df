"""The OpenAPI 3.1 document of the endpoint, made from the same pydantic models that check the requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from include.spec import UseCase
from serving.answers import CheckAnswer, ErrorAnswer, ModelsAnswer, PredictAnswer
from serving.body import MAX_BODY_BYTES
from serving.request_id import PARAMETER
from serving.schema import RequestSchema

TEMPLATE = "#/components/schemas/{model}"
PREDICT_ERRORS = {
    "404": "No such use case.",
    "400": "Not JSON: malformed, duplicate field, NaN or Infinity, bad UTF-8, nested too deeply.",
    "408": "The body did not arrive in time.",
    "413": f"The body is larger than {MAX_BODY_BYTES} bytes.",
    "415": "Another content type than application/json, or a content encoding.",
    "422": "JSON, but not what the schema asks for: unknown or missing field, wrong type, too many rows.",
    "429": "Too many requests at once; `Retry-After` says when to come back.",
    "500": "A defect of the endpoint.",
    "503": "No model yet, the online store cannot be read, or the inference log takes no rows: nothing is answered unlogged.",
    "504": "No answer in time.",
}
EXAMPLES: dict[str, Any] = {"string": "AA", "integer": 1, "number": 1.5, "boolean": True, "timestamp": "2013-04-01T12:00:00Z"}


def openapi_document(schemas: Mapping[str, RequestSchema]) -> dict[str, Any]:
    """The document for the served use cases."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flightdeck endpoint",
            "version": "1",
            "description": "Predictions by entity keys and event time. Features are looked up online, every answer is logged.",
        },
        "paths": {
            "/v1/models/{use_case}/predict": {"post": _predict(schemas)},
            "/v1/models": {"get": _operation("list_models", "What serves and what should.", "ModelsAnswer", {"503": "Starting."})},
            "/v1/models/{use_case}/check": {"post": _check(schemas)},
            "/healthz": {"get": _plain("The process is alive.")},
            "/livez": {"get": _plain("The process is alive.")},
            "/readyz": {
                "get": {
                    **_plain("Ready to predict."),
                    "responses": {"200": {"description": "Ready."}, "503": {"description": "Not ready."}},
                }
            },
            "/metrics": {"get": _plain("Prometheus metrics.")},
        },
        "components": {"schemas": _components(schemas)},
    }


def _predict(schemas: Mapping[str, RequestSchema]) -> dict[str, Any]:
    references = [TEMPLATE.format(model=request_name(schema)) for schema in schemas.values()]
    return {
        **_operation("predict", "Probability, decision and prediction id per row.", "PredictAnswer", PREDICT_ERRORS),
        "parameters": [_use_case_parameter(schemas), PARAMETER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"anyOf": [{"$ref": reference} for reference in references]},
                    "examples": {
                        name: {"summary": schema.use_case.title, "value": request_example(schema)} for name, schema in schemas.items()
                    },
                }
            },
        },
    }


def request_example(schema: RequestSchema) -> dict[str, Any]:
    """A request that the schema accepts."""
    values = _category_examples(schema.use_case)
    row = {name: values.get(name, EXAMPLES[kind]) for name, kind in schema.types.items()}
    return {"rows": [row]}


def _category_examples(use_case: UseCase) -> dict[str, str]:
    return {column.name: column.categories[0] for column in use_case.table(use_case.entity_table).columns if column.categories}


def _check(schemas: Mapping[str, RequestSchema]) -> dict[str, Any]:
    errors = {code: PREDICT_ERRORS[code] for code in ("429", "500", "503", "504")}
    operation = _operation(
        "check_model", "Score the served model's golden rows again.", "CheckAnswer", {"404": "No such use case.", **errors}
    )
    return {**operation, "parameters": [_use_case_parameter(schemas)]}


def _use_case_parameter(schemas: Mapping[str, RequestSchema]) -> dict[str, Any]:
    return {"name": "use_case", "in": "path", "required": True, "schema": {"type": "string", "enum": sorted(schemas)}}


def _operation(identifier: str, summary: str, answer: str, errors: Mapping[str, str]) -> dict[str, Any]:
    responses = {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": TEMPLATE.format(model=answer)}}}}}
    for status, text in errors.items():
        responses[status] = {
            "description": text,
            "content": {"application/json": {"schema": {"$ref": TEMPLATE.format(model="ErrorAnswer")}}},
        }
    return {"operationId": identifier, "summary": summary, "responses": responses}


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": summary, "content": {"text/plain": {"schema": {"type": "string"}}}}}}


def request_name(schema: RequestSchema) -> str:
    """The name of a use case's request among the components."""
    return "".join(part.capitalize() for part in schema.use_case.name.split("_")) + "Request"


def _components(schemas: Mapping[str, RequestSchema]) -> dict[str, Any]:
    answers: list[type[BaseModel]] = [PredictAnswer, ErrorAnswer, ModelsAnswer, CheckAnswer]
    _, document = models_json_schema([(model, "serialization") for model in answers], ref_template=TEMPLATE)
    components = dict(document["$defs"])
    for schema in schemas.values():
        request = schema.adapter.json_schema(ref_template=TEMPLATE)
        components.update(request.pop("$defs"))
        components[request_name(schema)] = request
    return components
