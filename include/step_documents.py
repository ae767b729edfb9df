"""What goes into a step that runs as a process, and what comes out of it: typed JSON both ways.

The document that calls a step travels as a file, on standard input, or packed into one environment
variable of a pod. The report says how the step ended: with its result, with a refusal, or with the
error that the same step would have raised in the caller's own process.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import include.errors
from include.catalogue import load_use_case
from include.errors import FlightdeckError, LedgerBroken, SpecError
from include.interval import Interval
from include.settings import load_settings
from include.steps import Decision, RunInfo, Step, StepContext, StepResult, signature

DONE, FAILED, WRONG, REFUSED = 0, 1, 2, 3
"""The exit codes of a step's process."""
MOST_PACKED = 120_000
"""Characters that one environment variable of a Linux process holds, with its name (131,072)."""

Outcome = Literal["done", "refused", "wrong", "failed"]
EXIT_CODES: Mapping[Outcome, int] = {
    "done": DONE,
    "refused": REFUSED,
    "wrong": WRONG,
    "failed": FAILED,
}


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

    def context(self) -> StepContext:
        """The context, with this process's settings. Raises `SpecError` for an unsound interval."""
        moments = self.interval
        if moments.start.tzinfo is None or moments.end.tzinfo is None:
            raise SpecError(
                f"context.interval {moments.start} to {moments.end} has no time zone; write for"
                f" example {moments.start.isoformat()}+00:00."
            )
        try:
            interval = Interval(moments.start.astimezone(UTC), moments.end.astimezone(UTC))
        except ValueError as error:
            raise SpecError(f"context.interval: {error}.") from error
        run = RunInfo(**self.run.model_dump())
        return StepContext(load_use_case(self.use_case), load_settings(), interval, run)


class StepDocument(BaseModel):
    """What a step is called with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: ContextDocument
    inputs: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> StepDocument:
        """The document in a JSON text. Raises `SpecError` that names the field."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise SpecError(
                f"The document is wrong at {place}: {first['msg']}. It is one JSON object with"
                " `context` (use_case, interval, run) and `inputs`."
            ) from error


class ErrorReport(BaseModel):
    """An error of a step: its class in `include.errors`, and what it was raised with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    message: str
    row: int | None = None
    kind: str | None = None

    @classmethod
    def of(cls, error: FlightdeckError) -> ErrorReport:
        """The error as JSON."""
        broken = error if isinstance(error, LedgerBroken) else None
        return cls(
            type=type(error).__name__,
            message=str(error),
            row=broken and broken.row,
            kind=broken and broken.kind,
        )

    def error(self) -> FlightdeckError:
        """The same error again; one whose class is not ours becomes a `FlightdeckError`."""
        kind = getattr(include.errors, self.type, None)
        if kind is LedgerBroken:
            return LedgerBroken(self.kind or "unknown", self.row or 0, self.message)
        if isinstance(kind, type) and issubclass(kind, FlightdeckError):
            return kind(self.message)
        return FlightdeckError(f"{self.type}: {self.message}")


class StepReport(BaseModel):
    """How a step's process ended."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Outcome
    result: dict[str, Any] | None = None
    error: ErrorReport | None = None

    @classmethod
    def of_result(cls, result: StepResult) -> StepReport:
        """Of a step that came to its end; one that decided against going on is a refusal."""
        refused = isinstance(result, Decision) and result.accepted is not True
        return cls(outcome="refused" if refused else "done", result=result.as_json())

    @classmethod
    def of_error(cls, error: FlightdeckError) -> StepReport:
        """Of a step, or a call of one, that failed."""
        outcome: Outcome = "wrong" if isinstance(error, SpecError) else "failed"
        return cls(outcome=outcome, error=ErrorReport.of(error))

    @property
    def exit_code(self) -> int:
        """What the process ends with."""
        return EXIT_CODES[self.outcome]

    def result_of(self, step: Step) -> StepResult:
        """The step's result, as if it had been called here. Raises the step's own error."""
        if self.error is not None:
            raise self.error.error()
        return signature(step).result.from_json(self.result, f"the result of {step.__name__!r}")


def step_document(context: StepContext, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The document that calls a step with this context and these inputs."""
    described = {
        "use_case": context.use_case.name,
        "interval": context.interval.as_json(),
        "run": context.run.as_json(),
    }
    return {"context": described, "inputs": dict(inputs)}


def pack(document: Mapping[str, Any], step: str) -> str:
    """The document as one environment variable can hold it: JSON, compressed, in base64.

    Base64 has no `$`, which Kubernetes would read as the name of another variable. Raises
    `SpecError` for a document that is too long even so.
    """
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    if len(packed) > MOST_PACKED:
        sizes = {name: len(json.dumps(value)) for name, value in document["inputs"].items()}
        raise SpecError(
            f"step {step!r}: what it is called with takes {len(packed):,} characters compressed;"
            f" a pod's environment variable holds {MOST_PACKED:,}. Its inputs in characters:"
            f" {sizes}. Let the earlier step write a table and leave its name and version, or run"
            ' this step in the worker (target = "process" in the file of pods).'
        )
    return packed


def unpack(packed: str) -> str:
    """The JSON text in what `pack` wrote. Raises `SpecError` for anything else."""
    try:
        return gzip.decompress(base64.b64decode(packed, validate=True)).decode()
    except (binascii.Error, OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SpecError(
            f"The document cannot be unpacked: {error}. It is JSON, compressed with gzip, in"
            " base64."
        ) from error
