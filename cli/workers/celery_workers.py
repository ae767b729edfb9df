"""Celery's workers, where Airflow's executor is `celery`: who takes their orders, and whether one
is well.

Orders and results both go through the broker, so that a worker on another host needs no way to
Airflow's database.
"""

from __future__ import annotations

import hashlib
import socket
import sys

from include.errors import PlatformError
from include.settings import PREFIX, Settings

ANSWER_SECONDS = 3.0
CONCURRENCY = 4
"""Tasks that one worker runs at once."""
TASKS = 32
"""Tasks that all workers run at once, as far as the scheduler lets them."""


def require_broker(settings: Settings) -> str:
    """The broker's address; raises `PlatformError` where there is none."""
    if settings.broker_url is None:
        raise PlatformError(
            f"{PREFIX}EXECUTOR is celery, and {PREFIX}BROKER_URL is not set: it is the"
            " Redis-compatible store through which the workers get their tasks. Set it to"
            f" redis://host:6379, or {PREFIX}EXECUTOR=local."
        )
    return settings.broker_url


def require_celery(settings: Settings) -> None:
    """Raise `PlatformError` where no scheduler would give a worker anything to do."""
    if settings.executor != "celery":
        raise PlatformError(
            f"{PREFIX}EXECUTOR is {settings.executor}, whose tasks no worker of Celery takes. Set"
            f" it to celery, with the platform's {PREFIX}BROKER_URL (docs/executors.md)."
        )
    require_broker(settings)


def worker_options(settings: Settings) -> dict[str, object]:
    """Airflow's options for workers; none where the executor is another, or no broker is named, as
    where a platform is only stopped.
    """
    broker = settings.broker_url
    if settings.executor != "celery" or broker is None:
        return {}
    return {
        "CELERY__BROKER_URL": broker,
        "CELERY__RESULT_BACKEND": broker,
        "CELERY__WORKER_CONCURRENCY": CONCURRENCY,
        # Asked of the worker, not kept: a result is read at once, by the scheduler.
        "CELERY__WORKER_ENABLE_REMOTE_CONTROL": True,
    }


def node_name(settings: Settings) -> str:
    """What the worker of this home on this host is called among all workers."""
    home = hashlib.sha256(str(settings.home).encode()).hexdigest()[:12]
    return f"flightdeck-{home}@{socket.gethostname()}"


def worker_command(name: str) -> tuple[str, ...]:
    """The command of a worker of that name."""
    return (
        *(sys.executable, "-m", "airflow", "celery", "worker"),
        *("--skip-serve-logs", "--without-gossip", "--celery-hostname", name),
    )


def silence(broker: str, name: str) -> str:
    """Why a worker is not well; empty where it answers through the broker.

    `*` in its name stands for anything: one of those that are meant must answer.
    """
    from celery import Celery
    from celery.exceptions import OperationalError

    with Celery(broker=broker, set_as_current=False) as application:
        try:
            with application.connection(connect_timeout=ANSWER_SECONDS) as connection:
                answers = application.control.ping(
                    pattern=name,
                    matcher="glob",
                    timeout=ANSWER_SECONDS,
                    limit=1,
                    connection=connection,
                )
        except (OperationalError, OSError) as error:
            return f"the broker does not answer ({type(error).__name__})"
    return "" if answers else f"{name} does not answer through the broker"
