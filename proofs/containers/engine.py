"""Docker's engine: the one that runs here, or one started for the time of the proof."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.errors import PlatformError
from include.settings import PROJECT_ROOT

START_SECONDS = 60.0
STOP_SECONDS = 60.0
TAIL = 25
CLIENTS = ("docker", "/usr/bin/docker")
"""The second is Debian's, which builds by BuildKit without a plug-in."""


@dataclass(frozen=True)
class Engine:
    """A client that reaches an engine and can build; `variables` are its environment."""

    client: str
    variables: Mapping[str, str]

    def run(
        self, *arguments: str, seconds: float = 1800.0, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the client. Raises `PlatformError` with its last lines where it fails."""
        return self.program([self.client, *arguments], seconds=seconds, check=check, text=text)

    def program(
        self,
        command: Sequence[str],
        *,
        seconds: float = 1800.0,
        check: bool = True,
        text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program that speaks to this engine.

        Raises `PlatformError` with its last lines where it fails, and where it takes too long.
        """
        try:
            done = subprocess.run(
                list(command),
                cwd=PROJECT_ROOT,
                env=dict(self.variables),
                input=text if text is not None else "",
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PlatformError(
                f"{' '.join(command[:4])} ... takes longer than {seconds:g} s."
            ) from error
        if check and done.returncode != 0:
            last = "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-TAIL:])
            raise PlatformError(f"{' '.join(command[:4])} ... failed:\n{last}")
        return done


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """The engine that runs here, else one of its own with its data below `folder`.

    Raises `PlatformError` where there is neither.
    """
    variables = {**os.environ, "DOCKER_BUILDKIT": "1"}
    present = _first_that_works(variables)
    if present is not None:
        yield present
        return
    daemon = shutil.which("dockerd")
    if daemon is None or os.geteuid() != 0:
        raise PlatformError(
            "No Docker engine answers, and none can be started here: that takes root and dockerd."
            " Start Docker, or install it (on Debian: apt-get install docker.io mmdebstrap)."
        )
    with _own_engine(daemon, folder, variables) as own:
        yield own


def _first_that_works(variables: Mapping[str, str]) -> Engine | None:
    for client in CLIENTS:
        if shutil.which(client) is None:
            continue
        candidate = Engine(client, variables)
        builds = candidate.run("build", "--help", check=False).stdout
        reached = candidate.run("version", check=False, seconds=20).returncode == 0
        if reached and "--output" in builds:
            return candidate
    return None


@contextmanager
def _own_engine(daemon: str, folder: Path, variables: Mapping[str, str]) -> Iterator[Engine]:
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "docker.sock"
    log = (folder / "dockerd.log").open("ab")
    process = subprocess.Popen(
        [
            daemon,
            f"--data-root={folder / 'data'}",
            f"--exec-root={folder / 'exec'}",
            f"--pidfile={folder / 'dockerd.pid'}",
            f"--host=unix://{socket}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            found = _first_that_works({**variables, "DOCKER_HOST": f"unix://{socket}"})
            if found is not None:
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise PlatformError(f"dockerd does not start; its log is {folder}/dockerd.log.")
            time.sleep(1)
        yield found
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)
        log.close()
