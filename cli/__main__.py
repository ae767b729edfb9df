"""Flightdeck's command line: `python -m cli COMMAND`. The Makefile is its face."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from include.errors import FlightdeckError
from include.settings import PROJECT_ROOT


def _up(_: Sequence[str]) -> int:
    from cli.platform.lifecycle import up

    up()
    return 0


def _down(_: Sequence[str]) -> int:
    from cli.platform.lifecycle import down

    down()
    return 0


def _status(_: Sequence[str]) -> int:
    from cli.platform.lifecycle import status

    return 0 if status() else 1


def _airflow(arguments: Sequence[str]) -> int:
    from cli.platform.environment import airflow_environment, process_environment
    from cli.platform.preflight import migrate
    from cli.platform.state import running_settings

    settings = running_settings()
    migrate(settings)
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(
        command,
        env=process_environment(airflow_environment(settings)),
        cwd=PROJECT_ROOT,
        check=False,
    ).returncode


def _demo(arguments: Sequence[str]) -> int:
    from cli.demo import main as demo

    return demo(list(arguments))


def _api_key(arguments: Sequence[str]) -> int:
    from cli.endpoint.api_keys import main as api_key

    return api_key(arguments)


def _reproduce(arguments: Sequence[str]) -> int:
    from cli.records.reproduce import main as reproduce

    return reproduce(arguments)


def _expectations(arguments: Sequence[str]) -> int:
    from include.catalogue import load_use_case
    from include.quality.expectations import write_suites

    names = arguments or sorted(
        path.parent.name for path in (PROJECT_ROOT / "include" / "use_cases").glob("*/spec.py")
    )
    for path in [path for name in names for path in write_suites(load_use_case(name))]:
        print(path.relative_to(PROJECT_ROOT))
    return 0


def _stream(arguments: Sequence[str]) -> int:
    from cli.endpoint.stream import main as stream

    return stream(arguments)


def _export(arguments: Sequence[str]) -> int:
    from cli.endpoint.export import main as export

    return export(arguments)


def _experiments(arguments: Sequence[str]) -> int:
    from cli.experiments import main as experiments

    return experiments(arguments)


def _lineage(arguments: Sequence[str]) -> int:
    from cli.records.lineage import main as lineage

    return lineage(arguments)


def _models(arguments: Sequence[str]) -> int:
    from cli.records.models import main as models

    return models(arguments)


def _datasets(arguments: Sequence[str]) -> int:
    from cli.records.datasets import main as datasets

    return datasets(arguments)


def _serve(arguments: Sequence[str]) -> int:
    from cli.endpoint.serve import main as serve

    return serve(arguments)


def _proof(module: str) -> Callable[[Sequence[str]], int]:
    """A command of `proofs`, named and not imported: whatever is packed has no proofs."""

    def run(arguments: Sequence[str]) -> int:
        return int(import_module(module).main(list(arguments)))

    return run


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "airflow": _airflow,
    "demo": _demo,
    "refusals": _proof("proofs.refusals.main"),
    "reproduce": _reproduce,
    "bench-training": _proof("proofs.bench.training.main"),
    "bench-serving": _proof("proofs.bench.serving.main"),
    "serve": _serve,
    "api-key": _api_key,
    "faults-serving": _proof("proofs.faults.serving"),
    "bench-batch": _proof("proofs.bench.batch.main"),
    "expectations": _expectations,
    "experiments": _experiments,
    "lineage": _lineage,
    "datasets": _datasets,
    "models": _models,
    "stream": _stream,
    "export": _export,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit code; an error made on purpose is told without a
    traceback.
    """
    if not arguments or arguments[0] not in COMMANDS:
        given = f"unknown command {arguments[0]!r}; " if arguments else ""
        print(f"{given}usage: python -m cli {{{','.join(COMMANDS)}}}", file=sys.stderr)
        return 2
    # Processes that this one starts in passing must not leave imports uncompiled: it doubles their
    # start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except FlightdeckError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{arguments[0]}: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
