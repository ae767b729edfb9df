"""An inference is answered, whichever transport it came over: tensors in, tensors out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson

from serving.contract.question import Question
from serving.contract.schema import RequestSchema
from serving.engine.runtime import Runtime
from serving.oip.interface import ModelInterface, check_version, interfaces, output_values, select
from serving.oip.tensors import InferRequest

SERVER = {"name": "flightdeck", "version": "1", "extensions": ["binary_tensor_data"]}


@dataclass(frozen=True)
class OutputTensor:
    """One tensor of an answer; `binary` if it was asked for as bytes."""

    name: str
    datatype: str
    values: list[Any]
    binary: bool


@dataclass(frozen=True)
class InferAnswer:
    """One answer over either transport."""

    model: str
    version: str
    identifier: str
    outputs: list[OutputTensor]


class Models:
    """The models of the protocol, over the runtime's use cases."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._schemas: dict[str, RequestSchema] = {}
        self._models: dict[str, ModelInterface] = {}

    def select(self, name: str, version: str = "") -> ModelInterface:
        """Return the model if that version (or any, for none) serves; raise `UnanswerableError`
        (404).
        """
        model = select(self._current(), name)
        check_version(name, version, self.versions(model))
        return model

    def _current(self) -> dict[str, ModelInterface]:
        """Return the models by name, made anew where a contract has changed."""
        schemas = self.runtime.schemas.current
        if schemas is not self._schemas:
            self._models, self._schemas = interfaces(schemas), schemas
        return self._models

    def versions(self, model: ModelInterface) -> list[int]:
        """Return the versions that answer, loaded or ready to be, the champion first."""
        slot = self.runtime.watcher.slots.get(model.use_case.name)
        return [] if slot is None else slot.versions

    def ready(self, model: ModelInterface) -> bool:
        """Say whether the model can be asked now; one that is not loaded is loaded then."""
        slot = self.runtime.watcher.slots.get(model.use_case.name)
        return (
            slot is not None
            and slot.answers
            and self.runtime.stores.is_open(model.use_case.name)
            and self.server_ready()
        )

    def server_ready(self) -> bool:
        """Say whether any model can be asked now."""
        return self.runtime.not_ready() is None

    async def infer(self, name: str, version: str, request: InferRequest) -> InferAnswer:
        """Answer a request, by the version that it names, if it does; raises `RequestError`.

        The answer's version is empty where several have answered: then the output `model_version`
        tells them.
        """
        arrived = time.perf_counter()
        model = self.select(name, version)
        binary_outputs = model.binary_outputs(request)
        rows = model.rows(request)
        wanted = check_version(name, version, self.versions(model))
        answer = orjson.loads(
            await self.runtime.answer(Question(model.use_case.name, rows, arrived, version=wanted))
        )
        own = answer["model_version"]
        predictions = [{"model_version": own, **row} for row in answer["predictions"]]
        outputs = [
            OutputTensor(key, model.outputs[key].datatype, output_values(predictions, key), binary)
            for key, binary in binary_outputs.items()
        ]
        answered_by = "" if own is None else str(own)
        return InferAnswer(name, answered_by, request.identifier, outputs)
