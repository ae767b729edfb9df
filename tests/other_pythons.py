"""Runs the quick unit tests on every supported Python of this machine but the one that runs this:
`python -m tests.other_pythons [VERSION ...] [FOLDER_OR_OPTION ...]`, a version as in "3.12".

Each gets an environment of its own under `var/pythons`, made from the lock file, that the next call
takes again. A Python that the machine lacks is named and skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cli.bootstrap import VERSIONS, Interpreter, fingerprint, probe
from include.settings import PROJECT_ROOT
from tests.together import run_together

ENVIRONMENTS = PROJECT_ROOT / "var" / "pythons"
PLACES = "the PATH, pyenv's versions and uv's Pythons"
TESTS = ["tests/unit", "-m", "not slow"]
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def candidates(minor: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """Where a Python of a version may lie: the folders of the PATH, then what pyenv and uv keep."""
    for folder in environment.get("PATH", "").split(os.pathsep):
        yield Path(folder) / f"python{minor}"
    home = Path(environment.get("HOME", "/"))
    pyenv = Path(environment.get("PYENV_ROOT", home / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{minor}.*/bin/python"), reverse=True)
    uv = home / ".local" / "share" / "uv" / "python"
    yield from sorted(uv.glob(f"cpython-{minor}.*/bin/python{minor}"), reverse=True)


def find(minor: str, environment: Mapping[str, str]) -> Interpreter | None:
    """The first Python of a version that runs and can make environments."""
    for path in candidates(minor, environment):
        interpreter = probe(str(path)) if path.is_file() else None
        if interpreter is not None and interpreter.minor == minor and not interpreter.missing:
            return interpreter
    return None


def ensure(interpreter: Interpreter) -> Path:
    """The Python of an environment that holds what requirements.txt says; made where there is none.

    Raises `CalledProcessError` when it cannot be made.
    """
    folder = ENVIRONMENTS / interpreter.minor
    python, stamp = folder / "bin" / "python", folder / "flightdeck.stamp"
    if stamp.is_file() and stamp.read_text() == fingerprint(interpreter.version):
        return python
    uv = str(Path(sys.executable).parent / "uv")
    stamp.unlink(missing_ok=True)
    subprocess.run(
        [uv, "venv", "--quiet", "--clear", "--python", interpreter.path, str(folder)], check=True
    )
    options = ["--quiet", "--system-certs", "--require-hashes", "--no-deps"]
    subprocess.run(
        [uv, "pip", "install", *options, "--python", str(python), "-r", "requirements.txt"],
        cwd=PROJECT_ROOT,
        check=True,
    )
    stamp.write_text(fingerprint(interpreter.version))
    return python


def command(minor: str, arguments: Sequence[str]) -> tuple[list[str] | None, str]:
    """The command that runs the tests on a version, and a sentence: on what, or why not at all.

    Raises `CalledProcessError` when the environment cannot be made.
    """
    interpreter = find(minor, os.environ)
    if interpreter is None:
        return None, f"SKIPPED: this machine has no Python {minor} (looked on {PLACES})"
    python = ensure(interpreter)
    # Libraries are compiled as they are imported, and some are written for an older Python.
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::SyntaxWarning"]
    return [str(python), *options, *arguments], f"{interpreter.version} ({interpreter.path})"


def others() -> list[str]:
    """The supported versions but the one that runs this."""
    return [version for version in VERSIONS if version != THIS]


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 where a test failed on any version."""
    wanted = [argument for argument in arguments if argument in VERSIONS] or others()
    tests = [argument for argument in arguments if argument not in VERSIONS] or TESTS
    # Compiled imports halve the start of every process that the tests start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    prepared = {minor: command(minor, tests) for minor in wanted}
    codes = run_together(
        {f"python-{minor}": run for minor, (run, _) in prepared.items() if run is not None}
    )
    lines = [f"Python {THIS}: left out, `make test-unit` runs on it"]
    for minor, (run, sentence) in prepared.items():
        code = codes.get(f"python-{minor}")
        result = "" if run is None else "passed on " if code == 0 else f"FAILED ({code}) on "
        lines.append(f"Python {minor}: {result}{sentence}")
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    return int(any(codes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
