"""Where a command that reads the registry finds it: the platform's server, or its file."""

from __future__ import annotations

import urllib.error
import urllib.request

import typer

from cli.platform.environment import mlflow_file
from cli.platform.state import running_settings
from include.errors import PlatformError
from include.files import sqlite_url
from include.settings import Settings

SERVER_SECONDS = 3


def command_settings(context: typer.Context) -> Settings:
    """The settings that the caller of the command passes, else those of the running platform."""
    passed = context.find_object(Settings)
    return tracking_settings(running_settings()) if passed is None else passed


def tracking_settings(settings: Settings) -> Settings:
    """The settings with MLflow's server if it answers, with its SQLite file if not."""
    if not settings.mlflow_tracking_uri.startswith(("http://", "https://")):
        return settings
    try:
        with urllib.request.urlopen(  # noqa: S310  # http or https, see above
            f"{settings.mlflow_tracking_uri}/health", timeout=SERVER_SECONDS
        ):
            return settings
    except (urllib.error.URLError, OSError) as error:
        database = mlflow_file(settings)
        if settings.mlflow_database is not None or not database.is_file():
            raise PlatformError(
                f"MLflow does not answer at {settings.mlflow_tracking_uri} ({error}) and there is"
                f" no {database}; run `make up`, or name the home with FLIGHTDECK_HOME."
            ) from error
    return settings.model_copy(update={"mlflow_tracking_uri": sqlite_url(database)})
