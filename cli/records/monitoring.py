"""The command `monitoring-page`: what monitoring measured over time, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.platform.state import running_settings
from include.catalogue import load_use_case
from include.monitoring.overview.page import write_page
from include.settings import Settings


def monitoring_page(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="NAME", help="Such as flight_delays.")],
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where; beside the reports of monitoring by default."),
    ] = None,
) -> None:
    """Write the page of a use case over time: performance, scores, inputs, releases, alarms.

    One file of HTML that needs no network. Every run of monitoring writes it too; this brings it up
    to releases and alarms since then. Neither Airflow nor MLflow need to run.
    """
    settings = context.find_object(Settings) or running_settings()
    path = write_page(settings, load_use_case(use_case), to)
    print(f"{path}")
    address = settings.report_address(str(path))
    if address is not None:
        print(f"While the platform runs: {address}")
