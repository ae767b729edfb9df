"""The bare limit: an ASGI function around ONNX Runtime, which checks and records nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
SESSION = onnxruntime.InferenceSession(
    (Path(os.environ["BENCH_MODEL"]) / "model.onnx").read_bytes(), options
)
NAMES: list[str] = orjson.loads((Path(os.environ["BENCH_MODEL"]) / "inputs.json").read_bytes())
START = {"type": "http.response.start", "status": 200}
JSON = (b"content-type", b"application/json")


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer any request with the probabilities of its rows."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    rows = orjson.loads((await receive())["body"])["rows"]
    matrix = np.array([[row[name] for name in NAMES] for row in rows], dtype=np.float32)
    body = orjson.dumps({"probabilities": SESSION.run(None, {"matrix": matrix})[0][:, 0].tolist()})
    await send({**START, "headers": [JSON, (b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
