"""An inference is answered, whichever transport it came over: tensors in, tensors out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson

from serving.contract.question import Question
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
        self._models = interfaces(runtime.schemas)

    def select(self, name: str, version: str = "") -> ModelInterface:
        """Return the model if that version (or any, for none) serves; raise `UnanswerableError`
        (404).
        """
        model = select(self._models, name)
        check_version(name, version, self.version(model))
        return model

    def version(self, model: ModelInterface) -> int | None:
        """Return the version that serves."""
        served = self.runtime.watcher.slots[model.use_case.name].serving
        return None if served is None else served.version

    def ready(self, model: ModelInterface) -> bool:
        """Say whether the model can be asked now."""
        return (
            self.version(model) is not None
            and self.runtime.stores.is_open(model.use_case.name)
            and self.server_ready()
        )

    def server_ready(self) -> bool:
        """Say whether any model can be asked now."""
        return self.runtime.not_ready() is None

    async def infer(self, name: str, version: str, request: InferRequest) -> InferAnswer:
        """Answer a request; raises `RequestError`."""
        arrived = time.perf_counter()
        model = self.select(name, version)
        binary_outputs = model.binary_outputs(request)
        rows = model.rows(request)
        answer = orjson.loads(
            await self.runtime.answer(Question(model.use_case.name, rows, arrived))
        )
        predictions = answer["predictions"]
        outputs = [
            OutputTensor(key, model.outputs[key].datatype, output_values(predictions, key), binary)
            for key, binary in binary_outputs.items()
        ]
        return InferAnswer(name, str(answer["model_version"]), request.identifier, outputs)
