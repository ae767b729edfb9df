"""A step as a process of its own: `python -m include.processes.run training:train_model`.

Reads one JSON document from standard input or `--input FILE`:

    {"context": {"use_case": "flight_delays", "interval": {"start": ..., "end": ...},
                 "run": {"process": "training", "run_id": "..."}},
     "inputs": {"run": {...}, "built": {...}}}

`inputs` holds the results of earlier steps by the step's parameter names. Writes the step's result
as JSON to standard output or `--output FILE` (complete or not at all), and exits with 0 when it is
done, 3 when the step decided against going on (the result is written all the same), 2 when the
document or the step's name is wrong, 1 when the step failed for a reason that its message tells.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.catalogue import load_use_case
from include.errors import FlightdeckError, SpecError
from include.files import write
from include.interval import Interval
from include.settings import load_settings
from include.steps import Decision, RunInfo, StepContext, StepResult, call_step, load_step

DONE, FAILED, WRONG, REFUSED = 0, 1, 2, 3
PROCESSES = "include.processes"


class Moments(BaseModel):
    """The two ends of the interval, ISO 8601 with time zones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: datetime
    end: datetime


class RunDocument(BaseModel):
    """Which run the step belongs to, and what started it: the fields of `RunInfo`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: str
    run_id: str
    trigger: str = "local"
    triggered_by: str = ""
    try_number: int = 1
    causes: tuple[dict[str, Any], ...] = ()
    params: dict[str, Any] = Field(default_factory=dict)


class ContextDocument(BaseModel):
    """The context of a step: which use case, which data, which run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use_case: str
    interval: Moments
    run: RunDocument


class StepDocument(BaseModel):
    """What a step is called with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: ContextDocument
    inputs: dict[str, Any] = Field(default_factory=dict)


def step_document(context: StepContext, inputs: dict[str, Any]) -> dict[str, Any]:
    """The document that makes this module call a step with this context and these inputs."""
    described = {
        "use_case": context.use_case.name,
        "interval": context.interval.as_json(),
        "run": context.run.as_json(),
    }
    return {"context": described, "inputs": inputs}


def run_step(name: str, text: str) -> StepResult:
    """Call the step of that name with the document in `text`.

    Raises `SpecError` for a name or a document that is wrong, and what the step raises.
    """
    step = load_step(_reference(name))
    try:
        document = StepDocument.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise SpecError(
            f"The document is wrong at {place}: {first['msg']}. It is one JSON object with"
            " `context` (use_case, interval, run) and `inputs`."
        ) from error
    return call_step(step, _context(document.context), document.inputs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        text = sys.stdin.read() if options.input is None else options.input.read_text("utf-8")
        result = run_step(options.step, text)
    except (SpecError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{options.step}: {error}\n")
        return WRONG
    except FlightdeckError as error:
        sys.stderr.write(f"{options.step}: {type(error).__name__}: {error}\n")
        return FAILED
    content = json.dumps(result.as_json(), indent=1)
    if options.output is None:
        sys.stdout.write(f"{content}\n")
    else:
        write(options.output, f"{content}\n")
    return REFUSED if isinstance(result, Decision) and result.accepted is not True else DONE


def _reference(name: str) -> str:
    """`training:train_model` is short for the module of that process."""
    module, _, function = name.partition(":")
    return name if "." in module else f"{PROCESSES}.{module}:{function}"


def _context(document: ContextDocument) -> StepContext:
    moments, run = document.interval, document.run
    if moments.start.tzinfo is None or moments.end.tzinfo is None:
        raise SpecError(
            f"context.interval {moments.start} to {moments.end} has no time zone; write for example"
            f" {moments.start.isoformat()}+00:00."
        )
    try:
        interval = Interval(moments.start.astimezone(UTC), moments.end.astimezone(UTC))
    except ValueError as error:
        raise SpecError(f"context.interval: {error}.") from error
    return StepContext(
        load_use_case(document.use_case), load_settings(), interval, RunInfo(**run.model_dump())
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.processes.run",
        description="Run one step of a process: JSON in, JSON out.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong input, 3 the step decided against going on.",
    )
    parser.add_argument("step", help="<process>:<step>, for example training:train_model")
    parser.add_argument("--input", type=Path, help="a file; standard input without it")
    parser.add_argument("--output", type=Path, help="a file; standard output without it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
