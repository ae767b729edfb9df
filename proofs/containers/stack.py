"""docker/compose.yaml as a running platform of its own: other ports, secrets and volumes than those
of anybody else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from cli.images.secrets import make
from include.errors import PlatformError
from include.settings import PROJECT_ROOT
from proofs.containers.engine import Engine
from proofs.harness.ports import HOST, free_ports

PROJECT = "flightdeck-proof"
COMPOSE = Path(sys.executable).with_name("docker-compose")
UP_SECONDS = 900.0


class Stack:
    """The services by name. `http` and `grpc` are the addresses of the proxy."""

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        images: Mapping[str, str],
        *,
        share: float,
        executor: str,
    ) -> None:
        airflow, mlflow, serving, grpc = free_ports(4)
        make(folder / "secrets")
        variables = {
            **engine.variables,
            **images,
            "SECRETS": str(folder / "secrets"),
            "AIRFLOW_PORT": str(airflow),
            "MLFLOW_PORT": str(mlflow),
            "SERVING_PORT": str(serving),
            "GRPC_PORT": str(grpc),
            "FLIGHTDECK_ENV": "dev",
            "FLIGHTDECK_SAMPLE_SHARE": str(share),
            "FLIGHTDECK_EXECUTOR": executor,
            "COMPOSE_PROFILES": executor,
        }
        self.has_workers = executor == "celery"
        self._engine = replace(engine, variables=variables)
        self.http = f"http://{HOST}:{serving}"
        self.grpc = f"{HOST}:{grpc}"

    def compose(
        self, *arguments: str, seconds: float = UP_SECONDS, check: bool = True
    ) -> CompletedProcess[str]:
        """Run Compose over the file."""
        file = str(PROJECT_ROOT / "docker" / "compose.yaml")
        command = [str(COMPOSE), "--project-name", PROJECT, "--file", file, *arguments]
        return self._engine.program(command, seconds=seconds, check=check)

    def execute(
        self, service: str, *command: str, index: int = 1, check: bool = True
    ) -> CompletedProcess[str]:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", "--index", str(index), service, *command, check=check)

    def up(self) -> None:
        """Start everything and wait until all is well."""
        self.compose("up", "--detach", "--wait")

    def down(self) -> None:
        """End everything and remove what it kept."""
        self.compose("down", "--volumes", "--remove-orphans", check=False)

    def containers(self) -> list[dict[str, Any]]:
        """What Compose says of each container."""
        lines = self.compose("ps", "--all", "--format", "json").stdout.splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def health(self) -> dict[str, str]:
        """Health of each container that goes on running."""
        return {
            one["Name"].removeprefix(f"{PROJECT}-"): one["Health"] or one["State"]
            for one in self.containers()
            if one["State"] != "exited" or one["ExitCode"] != 0
        }

    def kill(self, service: str, index: int = 1) -> None:
        """kill -9 of all that runs in a container, which then ends and is started again."""
        self.execute(service, "sh", "-c", "kill -9 -1", index=index, check=False)

    def wait_for(self, what: str, look: Callable[[], bool], seconds: float = 120.0) -> float:
        """Poll until `look` holds; how many seconds it took. Raises `PlatformError`."""
        started = time.monotonic()
        while not look():
            if time.monotonic() - started > seconds:
                raise PlatformError(f"{what} after {seconds:g} s: {self.health()}")
            time.sleep(0.5)
        return time.monotonic() - started

    def inspected(self) -> str:
        """All that Docker tells of the containers to whoever may ask it."""
        names = [one["Name"] for one in self.containers()]
        return self._engine.run("inspect", *names).stdout

    def logs(self) -> str:
        """The last lines of every service."""
        return self.compose("logs", "--no-color", "--tail", "60", check=False).stdout
