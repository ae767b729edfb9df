"""`POST /v1/models/{use_case}/predict` and `/explain`: the same question, without and with the
reasons.
"""

from __future__ import annotations

import time

from starlette.types import Receive, Scope, Send

from serving.contract.body import read_json
from serving.contract.question import Question
from serving.contract.request_id import request_id
from serving.engine.runtime import RuntimeHolder
from serving.http.answering import answer_with


async def predict(
    holder: RuntimeHolder, use_case: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer with a prediction per row."""
    await answer_with(_ask(holder, use_case, scope, receive, explain=False), send)


async def explain(
    holder: RuntimeHolder, use_case: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer with a prediction per row and the contributions of the inputs."""
    await answer_with(_ask(holder, use_case, scope, receive, explain=True), send)


async def _ask(
    holder: RuntimeHolder, use_case: str, scope: Scope, receive: Receive, *, explain: bool
) -> bytes:
    runtime = holder.get()
    schema = runtime.schema(use_case)
    document = await read_json(scope, receive)
    arrived = time.perf_counter()
    rows = schema.validate(document)
    key, fingerprint = request_id(scope, document)
    return await runtime.answer(Question(use_case, rows, arrived, explain, key, fingerprint))
