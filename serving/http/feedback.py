"""`POST /v1/models/{use_case}/feedback`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import orjson
from starlette.types import Receive, Scope, Send

from include.inference_log.log import Feedback, SpoolError
from include.inference_log.writer import LogWriter
from serving.contract.body import read_json
from serving.contract.errors import UnanswerableError
from serving.engine.runtime import RuntimeHolder
from serving.http.answering import answer_with


async def record_feedback(
    holder: RuntimeHolder, use_case: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """Make feedback durable and say what became of each row."""
    await answer_with(_record(holder, use_case, scope, receive), send)


async def _record(holder: RuntimeHolder, use_case: str, scope: Scope, receive: Receive) -> bytes:
    runtime = holder.get()
    runtime.schema(use_case)
    rows = runtime.feedback_schemas[use_case].validate(await read_json(scope, receive))
    return await runtime.call(lambda: _append(runtime.batcher.log, use_case, rows))


def _append(log: LogWriter, use_case: str, rows: Sequence[Feedback]) -> bytes:
    try:
        outcome = log.append_feedback(rows)
    except SpoolError as error:
        raise UnanswerableError(
            503, "log_unavailable", f"Feedback cannot be kept now; tell it again later. {error}"
        ) from error
    return orjson.dumps({"use_case": use_case, **asdict(outcome)})
