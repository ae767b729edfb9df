"""`GET /v1/models/{use_case}`: what the use case asks for, and where the model that answers comes
from.
"""

from __future__ import annotations

from include.model.metadata import ModelMetadata
from serving.contract.answers import InputDescription, ModelAnswer, RunningModel
from serving.engine.runtime import Runtime


def describe_model(runtime: Runtime, name: str) -> ModelAnswer:
    """Return the use case's interface, its status and its model; raise `UnanswerableError` (404)
    for another name.
    """
    schema = runtime.schema(name)
    use_case = schema.use_case
    serving = use_case.serving
    slot = runtime.watcher.slots[name]
    served, standing = slot.serving, slot.standing
    metadata = None
    if served is not None:
        metadata = served.model.metadata
    elif standing is not None and standing.passed:
        metadata = standing.metadata
    return ModelAnswer(
        title=use_case.title,
        owner=use_case.owner,
        task=use_case.task,
        problem=use_case.problem.kind,
        entity_keys=list(serving.entity_keys),
        request_fields=[field.name for field in serving.request_fields],
        event_time=use_case.event_time,
        id_column=use_case.id_column,
        features=list(schema.features),
        max_rows=serving.max_rows,
        unknown_entities=serving.unknown_entities,
        stale_features=serving.stale_features,
        newer_features=serving.newer_features,
        explain_share=serving.explain_share,
        inputs=[
            InputDescription(
                name=item.name, source=item.source, kind=item.kind, description=item.description
            )
            for item in use_case.inputs
        ],
        status=next(status for status in runtime.models().models if status.use_case == name),
        model=None if metadata is None else _running(metadata),
    )


def _running(metadata: ModelMetadata) -> RunningModel:
    return RunningModel(
        estimator=metadata.estimator,
        explainable=metadata.is_explainable,
        classes=list(metadata.classes),
        decision_threshold=metadata.decision_threshold,
        trained_on=metadata.trained_on,
        metrics=metadata.metrics,
        libraries=metadata.libraries,
        code_commit=metadata.code_commit,
    )
