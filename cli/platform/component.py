"""The command `component`: one process of the platform in the foreground, for a container that has
the others beside it.

It is the process that `flightdeck up` starts, with the same command line and environment; what
starts it again when it ends, and the databases, are whoever runs the container.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Annotated

import typer

from cli.platform import metadata, preflight, supervision
from cli.platform.environment import ensure_secrets, process_environment
from cli.platform.preflight import MIGRATIONS, migrations_of, require_service
from cli.platform.processes import component as component_process
from cli.platform.processes import component_names, service_of
from cli.workers.celery_workers import require_celery
from include.settings import load_settings
from include.spec.base import suggestion


def component(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help=f"One of {', '.join(component_names())}.")
    ],
) -> None:
    """Run one process of the platform here, in the foreground, and nothing else.

    Its neighbours are found by FLIGHTDECK_AIRFLOW_URL, FLIGHTDECK_MLFLOW_TRACKING_URI and
    FLIGHTDECK_SERVING_URL; `flightdeck migrate` comes before the first start.
    """
    if name not in component_names():
        raise typer.BadParameter(
            f"there is no process {name!r}{suggestion(name, component_names())}",
            param_hint="NAME",
        )
    settings = load_settings()
    require_service(settings, service_of(name), name)
    if name == "airflow-worker":
        require_celery(settings)
    if name == "mlflow":
        preflight.require_sign_in(settings)
    # Whatever is written below the home is its owner's alone, as under `flightdeck up`.
    os.umask(0o077)
    preflight.require_writable(settings)
    process = component_process(settings, name)
    process.directory.mkdir(parents=True, exist_ok=True)
    os.chdir(process.directory)
    environment = process_environment(process.environment)
    os.execve(process.command[0], process.command, environment)  # noqa: S606  # the platform's own


def migrate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATABASE]...",
            help="airflow, mlflow; default: those whose service runs on this host.",
        ),
    ] = None,
) -> None:
    """Bring the databases up to date, and make what Airflow's processes share.

    To be run once before they start, and again after an update; several at once do it once. Where
    the platform of this home does not run, its PostgreSQL runs for as long as this takes.
    """
    for name in names or ():
        if name not in MIGRATIONS:
            raise typer.BadParameter(
                f"there is no database {name!r}{suggestion(name, MIGRATIONS)}; valid:"
                f" {', '.join(MIGRATIONS)}",
                param_hint="DATABASE",
            )
    settings = load_settings()
    chosen = [name for name in MIGRATIONS if name in (names or migrations_of(settings))]
    for name in chosen:
        require_service(settings, name, f"the database of {name}")
    os.umask(0o077)
    preflight.require_writable(settings)
    preflight.require_object_storage(settings)
    with ExitStack() as stack:
        if "airflow" in chosen:
            settings = metadata.decided(settings)
            ensure_secrets(settings)
            stack.enter_context(supervision.database_at_hand(settings))
        done = preflight.migrate(settings, chosen)
    what = f"Brought up to date: {', '.join(done)}. " if done else ""
    rest = "The databases are up to date." if chosen else "No service of this host has a database."
    print(f"{what}{rest}")
