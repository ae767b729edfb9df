"""What `make up` leaves behind for the commands that come later: which platform runs in a home, and
on which ports.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from include.errors import PlatformError
from include.files import write
from include.settings import PREFIX, Settings, load_settings
from include.settings.airflow_database import SQLITE


@dataclass(frozen=True)
class PlatformState:
    """One start of the platform.

    `platform_id` is in the environment of every process; `started_at` and `boot_time` are seconds
    since the epoch. A state that names no database is of a version that had SQLite alone; one that
    names no services, of one that had all on one host. `elsewhere` has the settings with the
    addresses of the others.
    """

    platform_id: str
    started_at: float
    boot_time: float
    host: str
    airflow_port: int
    mlflow_port: int
    serving_port: int
    grpc_port: int = 0
    evidently_port: int = 0
    airflow_database: str = SQLITE
    services: str = ""
    elsewhere: dict[str, str] = field(default_factory=dict)


def run_dir(settings: Settings) -> Path:
    """Folder of pid file, socket, supervisor configuration and state."""
    return settings.home / "run"


def state_path(settings: Settings) -> Path:
    """File of the platform's state."""
    return run_dir(settings) / "platform.json"


def read_state(settings: Settings) -> PlatformState | None:
    """The state of the platform last started in this home, or `None` after a clean stop."""
    path = state_path(settings)
    if not path.exists():
        return None
    try:
        return PlatformState(**json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        raise PlatformError(
            f"{path} is damaged ({error}); end the platform's processes, if any run, and delete the"
            " file."
        ) from error


def write_state(settings: Settings, state: PlatformState) -> None:
    """Write the state; readers see the old file or the new one."""
    write(state_path(settings), json.dumps(asdict(state), indent=2) + "\n", mode=0o600)


def running_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings with the addresses of the platform that was started in this home, if there is
    one.

    What `make up AIRFLOW_PORT=8081` chose holds for every later command, whatever its own
    environment says.
    """
    variables = dict(os.environ if environ is None else environ)
    settings = load_settings(variables)
    state = read_state(settings)
    if state is None:
        return settings
    chosen = {
        "HOST": state.host,
        "AIRFLOW_PORT": state.airflow_port,
        "MLFLOW_PORT": state.mlflow_port,
        "SERVING_PORT": state.serving_port,
        "GRPC_PORT": state.grpc_port,
        "AIRFLOW_DATABASE": state.airflow_database,
    }
    settings = load_settings(
        {**variables, **{f"{PREFIX}{name}": str(value) for name, value in chosen.items()}}
    )
    # What a part of a platform needs of the others was asked at its start: it can be stopped
    # without it.
    services = {"services": state.services} if state.services else {}
    ports = {"evidently_port": state.evidently_port}
    return settings.model_copy(update={**ports, **services, **state.elsewhere})


@contextmanager
def only_one(settings: Settings, say: Callable[[str], None]) -> Iterator[Path]:
    """Hold the home's start lock: a second `make up` waits for the first, then finds the platform
    running; and a command that needs the database without the platform for either.
    """
    path = run_dir(settings) / "up.lock"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another `make up` or command of this home is at work; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield path
