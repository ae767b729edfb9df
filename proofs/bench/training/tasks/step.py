"""One step of a process, called as its task calls it."""

from __future__ import annotations

import time
from typing import Any

from include.steps import call_after, load_step
from proofs.bench.training.world import year_context


def step(arguments: dict[str, Any]) -> dict[str, Any]:
    """Call one step with the results of those before it, by reference; `result` is its own."""
    run = load_step(arguments["step"])
    context = year_context("bench-steps", arguments["process"], trials=arguments["trials"])
    started = time.perf_counter()
    result = call_after(run, context, arguments["inputs"]).as_json()
    return {"seconds": time.perf_counter() - started, "result": result}
