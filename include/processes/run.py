"""A step as a process of its own: `python -m include.processes.run training:train_model`.

Reads one JSON document from standard input, `--input FILE`, or packed from the environment variable
`--input-variable NAME`:

    {"context": {"use_case": "flight_delays", "interval": {"start": ..., "end": ...},
                 "run": {"process": "training", "run_id": "..."}},
     "inputs": {"run": {...}, "built": {...}}}

`inputs` holds the results of earlier steps by the step's parameter names. Writes the step's result
as JSON to standard output or `--output FILE` (complete or not at all), and exits with 0 when it is
done, 3 when the step decided against going on (the result is written all the same), 2 when the
document or the step's name is wrong, 1 when the step failed for a reason that its message tells.

With `--report FILE` it writes how it ended, whichever of these it was, and logs what the step logs:

    {"outcome": "done" | "refused" | "wrong" | "failed", "result": {...} | null,
     "error": {"type": "DataError", "message": "..."} | null}
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from include.errors import FlightdeckError, SpecError
from include.files import write
from include.step_documents import StepDocument, StepReport, unpack
from include.steps import PROCESSES, StepResult, call_step, load_step

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run_step(name: str, text: str) -> StepResult:
    """Call the step of that name with the document in `text`.

    Raises `SpecError` for a name or a document that is wrong, and what the step raises.
    """
    step = load_step(_reference(name))
    document = StepDocument.parse(text)
    return call_step(step, document.context.context(), document.inputs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one step and return the exit code."""
    options = _parser().parse_args(arguments)
    if options.report is not None:
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    try:
        report = StepReport.of_result(run_step(options.step, _text(options)))
    except FlightdeckError as error:
        report = StepReport.of_error(error)
        kind = "" if isinstance(error, SpecError) else f"{type(error).__name__}: "
        sys.stderr.write(f"{options.step}: {kind}{error}\n")
    _leave(report, options)
    return report.exit_code


def _text(options: argparse.Namespace) -> str:
    """The document. Raises `SpecError` where there is none to read."""
    try:
        if options.input_variable is not None:
            return unpack(os.environ[options.input_variable])
        if options.input is not None:
            return str(options.input.read_text("utf-8"))
        return sys.stdin.read()
    except KeyError:
        raise SpecError(
            f"the environment variable {options.input_variable} is not set; it holds the document"
            " that the step is called with"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(str(error)) from error


def _leave(report: StepReport, options: argparse.Namespace) -> None:
    """Write the report, and the result where there is one."""
    if options.report is not None:
        write(options.report, f"{report.model_dump_json()}\n")
    if report.result is None:
        return
    content = json.dumps(report.result, indent=1)
    if options.output is not None:
        write(options.output, f"{content}\n")
    elif options.report is None:
        sys.stdout.write(f"{content}\n")


def _reference(name: str) -> str:
    """`training:train_model` and `decisions.review:close_review` are short: they lie among the
    processes. Any other name with a dot is a whole one.
    """
    package, dot, _ = name.partition(":")[0].partition(".")
    is_short = not dot or (Path(__file__).parent / package).is_dir()
    return f"{PROCESSES}.{name}" if is_short else name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m include.processes.run",
        description="Run one step of a process: JSON in, JSON out.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong input, 3 the step decided against going on.",
    )
    parser.add_argument("step", help="<process>:<step>, for example training:train_model")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--input", type=Path, help="a file; standard input without it")
    source.add_argument(
        "--input-variable", metavar="NAME", help="an environment variable with the document, packed"
    )
    parser.add_argument("--output", type=Path, help="a file; standard output without it")
    parser.add_argument("--report", type=Path, help="a file for how the step ended")
    return parser


if __name__ == "__main__":
    sys.exit(main())
