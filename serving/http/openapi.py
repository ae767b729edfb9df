"""The OpenAPI 3.1 document of the endpoint, made from the same definitions that check the requests.

Every use case has paths of its own, so that each body's schema is exactly what is accepted there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from include.problems.registry import strategy_of
from include.spec import UseCase
from serving.contract.answers import (
    CheckAnswer,
    ErrorAnswer,
    ExplainAnswer,
    FeedbackAnswer,
    ModelAnswer,
    ModelsAnswer,
    PredictAnswer,
)
from serving.contract.body import MAX_BODY_BYTES
from serving.contract.feedback import FeedbackSchema
from serving.contract.request_id import PARAMETER
from serving.contract.schema import RequestSchema, component_name
from serving.oip import openapi as oip
from serving.oip.interface import interfaces
from serving.scoring.example import Example

TEMPLATE = "#/components/schemas/{model}"
ANSWERS: list[type[BaseModel]] = [
    PredictAnswer,
    ExplainAnswer,
    FeedbackAnswer,
    ErrorAnswer,
    ModelAnswer,
    ModelsAnswer,
    CheckAnswer,
]
ERRORS = {
    "400": (
        "Not JSON: malformed, duplicate field, NaN or Infinity, bad UTF-8, nested too deeply. Or a"
        " request id of another form."
    ),
    "401": "The endpoint asks for API keys, and none that it knows was given.",
    "404": "No such use case.",
    "408": "The body did not arrive in time.",
    "409": (
        "The request id stands for another request, or the model in service has no trees to"
        " explain."
    ),
    "413": f"The body is larger than {MAX_BODY_BYTES} bytes.",
    "415": "Another content type than application/json, or a content encoding.",
    "422": (
        "JSON, but not what the schema asks for: unknown or missing field, wrong type, too many"
        " rows. Or a row that the policy refuses."
    ),
    "429": "Too many requests at once; `Retry-After` says when to come back.",
    "500": "A defect of the endpoint.",
    "503": (
        "No model yet, or it is being loaded (`Retry-After` says when to come back), the online"
        " store cannot be read, or the inference log takes no rows: nothing is answered unlogged."
    ),
    "504": "No answer in time.",
}
BODY_ERRORS = ("400", "408", "413", "415", "422", "429", "500", "503", "504")
REAL = "a real row, asked about at the moment of its newest features"
FORM_ONLY = "the form only, as no model can be asked yet"
BATCHER_ERRORS = ("429", "500", "503", "504")
EXAMPLES: dict[str, Any] = {
    "string": "AA",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "timestamp": "2013-04-01T12:00:00Z",
}


def openapi_document(
    schemas: Mapping[str, RequestSchema],
    feedback: Mapping[str, FeedbackSchema],
    examples: Mapping[str, Example] | None = None,
) -> dict[str, Any]:
    """Return the document for the served use cases.

    Its requests are those of `examples`; a use case without one gets a row of the right form.
    """
    examples = examples or {}
    paths: dict[str, Any] = {
        "/v1/models": {
            "get": operation(
                "list_models", "What serves and what should.", "ModelsAnswer", ("500", "503")
            )
        }
    }
    for name, schema in schemas.items():
        paths.update(_use_case_paths(name, schema, examples.get(name)))
    paths.update(oip.paths(interfaces(dict(schemas)), ERRORS, examples))
    paths.update(_plain_paths())
    for path, operations in paths.items():
        for described in operations.values():
            described["tags"] = [_tag(path, schemas)]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flightdeck endpoint",
            "version": "1",
            "description": (
                "Predictions by entity keys and event time. Features are looked up online, every"
                " answer is logged."
            ),
        },
        "paths": paths,
        "components": {"schemas": {**_components(schemas, feedback), **oip.components()}},
    }


def _tag(path: str, schemas: Mapping[str, RequestSchema]) -> str:
    """Return the heading under which a page shows the path."""
    if path.startswith("/v2"):
        return "Open Inference Protocol"
    name = path.removeprefix("/v1/models/").partition("/")[0]
    return schemas[name].use_case.title if name in schemas else "Endpoint"


def _use_case_paths(name: str, schema: RequestSchema, example: Example | None) -> dict[str, Any]:
    stem, base = component_name(schema.use_case), f"/v1/models/{name}"
    rows = {
        "summary": f"{schema.use_case.title}: {FORM_ONLY if example is None else REAL}",
        "value": request_example(schema) if example is None else {"rows": [example.row]},
    }
    truth = {"summary": "What came true", "value": feedback_example(schema.use_case)}
    predict = operation(
        f"predict_{name}",
        "Probability, decision and prediction id per row.",
        "PredictAnswer",
        (*BODY_ERRORS, "409"),
    )
    explain = operation(
        f"explain_{name}",
        "The same with the contributions of the inputs.",
        "ExplainAnswer",
        (*BODY_ERRORS, "409"),
    )
    feedback = operation(
        f"tell_{name}",
        "What came true, or what an answer was worth.",
        "FeedbackAnswer",
        BODY_ERRORS,
    )
    check = operation(
        f"check_{name}",
        "Score the served model's golden rows again.",
        "CheckAnswer",
        BATCHER_ERRORS,
    )
    describe = operation(
        f"describe_{name}",
        "The use case, its inputs, and the model that serves.",
        "ModelAnswer",
        ("500", "503"),
    )
    return {
        base: {"get": describe},
        f"{base}/predict": {
            "post": {
                **predict,
                "parameters": [PARAMETER],
                "requestBody": body(f"{stem}Request", rows),
            }
        },
        f"{base}/explain": {
            "post": {
                **explain,
                "parameters": [PARAMETER],
                "requestBody": body(f"{stem}Request", rows),
            }
        },
        f"{base}/feedback": {"post": {**feedback, "requestBody": body(f"{stem}Feedback", truth)}},
        f"{base}/check": {"post": check},
    }


def request_example(schema: RequestSchema) -> dict[str, Any]:
    """A request of the right form that the schema accepts, of keys that nobody may know."""
    columns = schema.use_case.table(schema.use_case.entity_table).columns
    values = {column.name: column.categories[0] for column in columns if column.categories}
    return {
        "rows": [{name: values.get(name, EXAMPLES[kind]) for name, kind in schema.types.items()}]
    }


def feedback_example(use_case: UseCase) -> dict[str, Any]:
    """Feedback that the schema accepts (on an answer that there never was)."""
    label = strategy_of(use_case).example_label
    return {
        "feedback": [
            {
                "prediction_id": "0190a0b4f0c07d1e9f6a3c2b1d0e4f5a",
                "label": label,
                "known_at": EXAMPLES["timestamp"],
            }
        ]
    }


def operation(identifier: str, summary: str, answer: str, errors: Iterable[str]) -> dict[str, Any]:
    """Return one operation that answers with a component, and with `ErrorAnswer` under each status
    of `errors`.
    """
    responses = {"200": {"description": "OK", "content": _json(answer)}}
    responses.update(
        {
            status: {"description": ERRORS[status], "content": _json("ErrorAnswer")}
            for status in ("401", *errors)
        }
    )
    return {"operationId": identifier, "summary": summary, "responses": responses}


def body(component: str, example: dict[str, Any]) -> dict[str, Any]:
    """A required JSON body."""
    return {
        "required": True,
        "content": {
            "application/json": {
                **_json(component)["application/json"],
                "examples": {"example": example},
            }
        },
    }


def _json(component: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": TEMPLATE.format(model=component)}}}


def _plain_paths() -> dict[str, Any]:
    """The routes for people and for supervisors: path, identifier, summary, answers."""
    text = {"text/plain": {"schema": {"type": "string"}}}
    alive = {
        "200": {"description": "Yes.", "content": text},
        "503": {"description": "No.", "content": text},
    }
    page = _answered("text/html", "string")
    document = {
        **_answered("application/json", "object"),
        "503": {"description": "Starting.", "content": _json("ErrorAnswer")},
    }
    routes: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
        ("/", "front", "What serves, for people.", page),
        ("/docs", "docs", "This document as a page that sends requests.", page),
        ("/healthz", "healthz", "Is the process alive?", alive),
        ("/livez", "livez", "Can the process answer at all?", alive),
        ("/readyz", "readyz", "Can it predict for at least one use case?", alive),
        ("/metrics", "metrics", "Prometheus metrics.", {"200": alive["200"]}),
        ("/docs.json", "document", "This document.", document),
    )
    return {
        path: {"get": {"operationId": identifier, "summary": summary, "responses": responses}}
        for path, identifier, summary, responses in routes
    }


def _answered(media_type: str, kind: str) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": kind}}}
    return {"200": {"description": "OK", "content": content}}


def _components(
    schemas: Mapping[str, RequestSchema], feedback: Mapping[str, FeedbackSchema]
) -> dict[str, Any]:
    _, document = models_json_schema(
        [(model, "serialization") for model in ANSWERS], ref_template=TEMPLATE
    )
    components = dict(document["$defs"])
    adapters = [
        *(schema.adapter for schema in schemas.values()),
        *(schema.adapter for schema in feedback.values()),
    ]
    for adapter in adapters:
        request = adapter.json_schema(ref_template=TEMPLATE)
        components.update(request.pop("$defs"))
        components[str(request["title"])] = request
    return components
