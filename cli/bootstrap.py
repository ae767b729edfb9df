"""Make `.venv` what requirements.txt says, with nothing but a Python interpreter and its standard
library.

Run by the system's python3 before every `make` target that needs packages: `python3 -I
cli/bootstrap.py [INTERPRETER]`. When `.venv` is already right it returns in milliseconds. Works on
Python 3.7 and later, so that an old python3 can at least look for a suitable interpreter and say
what is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
VENV = ROOT / ".venv"
STAMP = VENV / "flightdeck.stamp"
LOG = ROOT / "var" / "log" / "install.log"
LAUNCHER = VENV / "bin" / "flightdeck"
VERSIONS = ("3.11", "3.12", "3.13")
NEEDED_GB = 4.0
# Prints the version, or the module that is missing: Debian packages venv and ensurepip on their
# own.
PROBE = """
import importlib.util, sys
missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
print("%d.%d" % sys.version_info[:2], sys.version.split()[0], *missing)
"""


class BootstrapError(Exception):
    """`.venv` cannot be made; the text is the one sentence that the user sees."""


class Interpreter:
    """A Python that runs:

    `path`, `minor` ("3.12"), `version` ("3.12.1") and the standard modules it lacks.
    """

    def __init__(self, path: str, minor: str, version: str, missing: list[str]) -> None:
        self.path = path
        self.minor = minor
        self.version = version
        self.missing = missing


def probe(path: str) -> Interpreter | None:
    """What `path` is, or `None` when it is no Python that runs."""
    try:
        result = subprocess.run(
            [path, "-I", "-c", PROBE],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=True,
        )
        minor, version, *missing = result.stdout.decode().split()
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(path, minor, version, missing)


def find_interpreter(chosen: str) -> Interpreter:
    """The interpreter the user chose with PYTHON=..., or the first on the PATH that is of a
    supported version and complete.
    """
    supported = ", ".join(VERSIONS)
    if chosen:
        interpreter = probe(chosen)
        if interpreter is None:
            raise BootstrapError(
                f"PYTHON={chosen} is not a Python that runs; give one of version {supported}."
            )
        if interpreter.minor not in VERSIONS:
            raise BootstrapError(
                f"PYTHON={chosen} is Python {interpreter.version}, and Flightdeck needs"
                f" {supported}."
            )
        _require_complete(interpreter)
        return interpreter
    names = ["python3", *(f"python{version}" for version in reversed(VERSIONS))]
    present = [interpreter for interpreter in map(probe, names) if interpreter is not None]
    suitable = [interpreter for interpreter in present if interpreter.minor in VERSIONS]
    if not suitable:
        seen = (
            ", ".join(f"{interpreter.path} is {interpreter.version}" for interpreter in present)
            or "there is no python3"
        )
        raise BootstrapError(
            f"Flightdeck needs Python {supported} and {seen}; install one, or name it with `make"
            " PYTHON=/path/to/python`."
        )
    complete = [interpreter for interpreter in suitable if not interpreter.missing]
    if not complete:
        _require_complete(suitable[0])
    return complete[0]


def _require_complete(interpreter: Interpreter) -> None:
    if interpreter.missing:
        raise BootstrapError(
            f"{interpreter.path} (Python {interpreter.version}) lacks its module"
            f" {interpreter.missing[0]}; install it (on Debian and Ubuntu: apt install"
            f" python{interpreter.minor}-venv) or choose another with `make PYTHON=...`."
        )


def fingerprint(version: str) -> str:
    """What the stamp of a finished `.venv` holds: the lock file's digest and the interpreter's
    version.
    """
    return f"{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()} {version}\n"


def installed_version() -> str | None:
    """Version of Python in a `.venv` that was finished once and still runs, else `None`."""
    if not STAMP.is_file() or not (VENV / "bin" / "python").exists():
        return None
    parts = STAMP.read_text().split()
    return parts[1] if len(parts) == len(("digest", "version")) else None


def require_disk() -> None:
    """Raise unless there is room for the packages."""
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < NEEDED_GB:
        raise BootstrapError(
            f"the disk of {ROOT} has {free:.1f} GB free and installing the packages needs"
            f" {NEEDED_GB:.0f} GB; free some."
        )


def run(step: str, command: list[str]) -> None:
    """Run an installer with its output in the log.

    Raises `BootstrapError` with its own last complaint when it fails.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH")
    }
    with LOG.open("ab") as log:
        start = log.tell()
        # Open files are passed on for the lock's sake, see only_one().
        code = subprocess.run(
            command,
            cwd=str(ROOT),
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,
            check=False,
        ).returncode
    if code != 0:
        output = LOG.read_bytes()[start:].decode(errors="replace")
        raise BootstrapError(f"{step} failed: {_complaint(output)} (all of it: {LOG}).")


def _complaint(output: str) -> str:
    if "No space left on device" in output or "os error 28" in output:
        return "the disk is full"
    # uv draws its chain of causes; what counts begins with the first letter or bracket.
    lines = [re.sub(r"^[^\w(\[`']+", "", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line]
    for pattern in (
        (
            "dns error|name resolution|connection refused|connect error|network is"
            " unreachable|timed out"
        ),
        "^error|^caused by|hash",
    ):
        for line in lines:
            if re.search(pattern, line, re.IGNORECASE):
                question = "; is there a network?" if pattern.startswith("dns") else ""
                return f"{line[:300].rstrip('.')}{question}"
    return lines[-1][:300].rstrip(".") if lines else "it said nothing"


def uv_requirement(requirements: str) -> str:
    """The lines of uv, with its hashes, out of the lock file."""
    match = re.search(r"^uv==.*\n(?:[ \t]+--hash=.*\n)+", requirements, re.MULTILINE)
    if match is None:
        raise BootstrapError(f"{REQUIREMENTS} does not lock uv; run `make lock`.")
    return match.group(0)


def create(interpreter: Interpreter) -> None:
    """A fresh `.venv` with uv in it; whatever half-made one there was goes first."""
    if VENV.is_symlink():
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(str(VENV))
    print(f"Creating .venv with Python {interpreter.version}.", flush=True)
    run("creating .venv", [interpreter.path, "-I", "-m", "venv", str(VENV)])
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "uv.txt"
        lock.write_text(uv_requirement(REQUIREMENTS.read_text()))
        pip = [
            str(VENV / "bin" / "python"),
            "-I",
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
        ]
        run("installing uv", [*pip, "--require-hashes", "--no-deps", "-r", str(lock)])


def install() -> None:
    """Bring `.venv` to the lock file's versions, every file checked against its hash."""
    count = len(
        re.findall(r"^[a-z0-9].*==", REQUIREMENTS.read_text(), re.MULTILINE | re.IGNORECASE)
    )
    print(f"Installing {count} locked packages (2 GB; half a minute to some minutes).", flush=True)
    python = VENV / "bin" / "python"
    # The lock is whole: what a package asks for and we leave out is not looked for.
    options = ["--python", str(python), "--system-certs", "--require-hashes", "--no-deps"]
    run(
        "installing the packages",
        [
            *(str(VENV / "bin" / "uv"), "pip", "install", "--compile-bytecode", *options),
            *("-r", str(REQUIREMENTS)),
        ],
    )


def launcher() -> str:
    """The console command: a script that names this checkout, so that it works from any folder and
    behind a link.

    No editable install: that needs a build backend, which pip would fetch beside the lock, and it
    would put `tests` and `dags` on the path of every program of `.venv`. `-P` hides a folder `cli`
    or `include` of whoever calls; -m and PYTHONPATH are what `make` and the platform use.
    """
    python, root = shlex.quote(str(VENV / "bin" / "python")), shlex.quote(str(ROOT))
    return (
        "#!/bin/sh\n"
        "# Written by cli/bootstrap.py: the commands of the checkout that this .venv belongs to.\n"
        f'PYTHONPATH={root} exec {python} -P -m cli "$@"\n'
    )


def write_launcher() -> None:
    """Put `flightdeck` into `.venv/bin` unless it is there as it must be: a checkout that moved, or
    that an older version set up, gets it anew.
    """
    if LAUNCHER.is_file() and LAUNCHER.read_text() == launcher():
        return
    aside = LAUNCHER.with_name(f".flightdeck.{os.getpid()}")
    aside.write_text(launcher())
    aside.chmod(0o755)
    aside.replace(LAUNCHER)


def ensure(chosen: str) -> None:
    """Make `.venv` right unless it is, and the console command in it."""
    ensure_packages(chosen)
    write_launcher()


def ensure_packages(chosen: str) -> None:
    """Make `.venv` what the lock file says unless it is."""
    required = find_interpreter(chosen) if chosen else None
    if is_right(required):
        return
    with only_one():
        # Another call may have done it while this one waited for its turn.
        if not is_right(required):
            rebuild(required)


def is_right(required: Interpreter | None) -> bool:
    """Whether `.venv` is finished, holds what requirements.txt says and is of the version that is
    asked for, if any is.
    """
    present = installed_version()
    return present is not None and STAMP.read_text() == fingerprint(
        required.version if required else present
    )


def rebuild(required: Interpreter | None) -> None:
    """Create `.venv` anew, or install into a finished one whose lock file has changed since.

    The stamp goes first and comes last: a kill in between is noticed by the next call.
    """
    version = installed_version()
    require_disk()
    LOG.write_bytes(b"")
    if STAMP.exists():
        STAMP.unlink()
    if version is None or (required is not None and required.version != version):
        interpreter = required or find_interpreter("")
        create(interpreter)
        version = interpreter.version
    install()
    aside = STAMP.with_suffix(".tmp")
    aside.write_text(fingerprint(version))
    aside.replace(STAMP)


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the installation's lock.

    Installers inherit it, so one that outlives a killed bootstrap is waited for too.
    """
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with (LOG.parent / "install.lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another installation is at work; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Exit code of the bootstrap."""
    try:
        ensure(arguments[0] if arguments else "")
    except BootstrapError as error:
        print(f"flightdeck: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"flightdeck: .venv cannot be made: {error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nflightdeck: stopped; the next call starts the installation again.", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
