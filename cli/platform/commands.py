"""The commands `up`, `down`, `status`, `logs` and `airflow`."""

from __future__ import annotations

import os
import subprocess
import sys
from difflib import get_close_matches
from typing import Annotated

import typer

from cli.lazy import new_application
from cli.platform import lifecycle, metadata, supervision
from cli.platform import logs as platform_logs
from cli.platform.environment import airflow_environment, process_environment
from cli.platform.folders import log_dir
from cli.platform.preflight import migrate, migrations_of, require_service
from cli.platform.state import running_settings
from include.bundles.deployments import Deployments
from include.bundles.manifest import short
from include.bundles.requirements import require_installed
from include.bundles.unpacked import version_root
from include.settings import PROJECT_ROOT, Settings, load_settings


def up() -> None:
    """Start the platform: with the code of the bundle that is deployed in this home, if one is.

    Ports: FLIGHTDECK_AIRFLOW_PORT, FLIGHTDECK_MLFLOW_PORT, FLIGHTDECK_SERVING_PORT,
    FLIGHTDECK_GRPC_PORT.
    """
    hand_over(load_settings(), "up")
    lifecycle.up()


def hand_over(settings: Settings, *arguments: str) -> None:
    """Become the same command of the deployed bundle's code; return where there is none, or where
    this is it.

    Raises `BundleError` where its files are gone, or other packages are installed than it locks.
    """
    version = Deployments(settings).current()
    if version is None:
        return
    root = version_root(settings, version)
    if root == PROJECT_ROOT:
        return
    require_installed(root)
    print(f"{settings.home} runs the pipeline {short(version)}, which is deployed.", flush=True)
    os.chdir(root)
    os.execve(  # noqa: S606  # our own interpreter and our own code
        sys.executable,
        [sys.executable, "-P", "-m", "cli", *arguments],
        {**os.environ, "PYTHONPATH": str(root)},
    )


def down() -> None:
    """Stop the platform."""
    lifecycle.down()


def status() -> int:
    """Show what runs.

    The exit code is 0 when every process is healthy, else 1.
    """
    return 0 if lifecycle.status() else 1


def logs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="One log, for example serving; all of them without it."
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")
    ] = False,
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-n", min=0, metavar="N", help="How many of the last lines to show."
        ),
    ] = 40,
) -> None:
    """Show or follow logs.

    Every line begins with a time in UTC; without NAME the lines of all logs stand in the order of
    time, each after the name of its log. The files are in var/log.
    """
    folder = log_dir(running_settings())
    names = platform_logs.names(folder)
    if name is not None and name not in names:
        similar = get_close_matches(name, names, n=1)
        advice = f"did you mean {similar[0]!r}?" if similar else ""
        present = f"there are {', '.join(names)}" if names else "there is none yet"
        raise typer.BadParameter(
            f"{folder} has no log {name!r}; {present}. {advice}".strip(), param_hint="NAME"
        )
    chosen = names if name is None else [name]
    if not chosen:
        print(f"There is no log in {folder} yet; `make up` starts the platform.")
        return
    for line in platform_logs.last_lines(folder, chosen, lines):
        print(line)
    if follow:
        for line in platform_logs.follow(folder, chosen):
            print(line, flush=True)


airflow = new_application()


@airflow.command(
    context_settings={
        "allow_extra_args": True,
        "allow_interspersed_args": False,
        "ignore_unknown_options": True,
    }
)
def _airflow(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="What follows `airflow`, for example: dags list.", metavar="ARGUMENTS"),
    ] = None,
) -> int:
    """Run Airflow's own command line.

    `flightdeck airflow dags --help` shows Airflow's help.
    """
    settings = running_settings()
    require_service(settings, "airflow", "`airflow`")
    settings = metadata.decided(settings)
    with supervision.database_at_hand(settings):
        migrate(settings, migrations_of(settings))
        return subprocess.run(
            [sys.executable, "-m", "airflow", *(arguments or []), *context.args],
            env=process_environment(airflow_environment(settings)),
            cwd=PROJECT_ROOT,
            check=False,
        ).returncode
