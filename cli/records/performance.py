"""The command `models performance`: how the versions in service do, and the former ones did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from cli.platform.state import running_settings
from cli.records.answers import AsJson, print_answer
from cli.tables import print_table
from include.catalogue import load_use_case, names
from include.monitoring.overview.series import Measured
from include.monitoring.overview.versions import DeployedVersion, deployed_versions
from include.settings import Settings


def model_performance(
    context: typer.Context,
    use_case: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Such as flight_delays; every one by default."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print how each version has done that is or was in service, by what monitoring measured.

    The newest metric with its 95 % interval, the newest estimate without labels, what the version's
    own test split promised, since when it serves, and how often it alarmed. Neither Airflow nor
    MLflow need to run.
    """
    settings = context.find_object(Settings) or running_settings()
    versions = [
        version
        for name in use_case or names()
        for version in deployed_versions(settings, load_use_case(name))
    ]
    if as_json:
        print_answer([asdict(version) for version in versions], print, as_json=True)
        return
    headings = ("version", "role", "since", "until", "windows", "rows", "labels", "metric", "value")
    print_table(
        "Deployed versions",
        (*headings, "interval", "estimated", "test split", "verdict", "alarms"),
        _rows(versions),
        nothing="none is or was in service",
    )


def _rows(versions: Sequence[DeployedVersion]) -> Iterator[tuple[object, ...]]:
    for item in versions:
        yield (
            f"{item.use_case}/{item.version}",
            item.role,
            None if item.since is None else f"{item.since:%Y-%m-%d %H:%M}",
            None if item.until is None else f"{item.until:%Y-%m-%d %H:%M}",
            item.windows,
            item.rows,
            item.labelled,
            item.metric_name,
            None if item.metric is None else item.metric.value,
            _bounds(item.metric),
            _estimate(item.estimated),
            item.before,
            item.verdict,
            item.alarmed,
        )


def _bounds(measured: Measured | None) -> str | None:
    if measured is None or measured.low is None or measured.high is None:
        return None
    return f"{measured.low:.3g} to {measured.high:.3g}"


def _estimate(measured: Measured | None) -> str | None:
    if measured is None:
        return None
    bounds = _bounds(measured)
    return f"{measured.value:.3g}" if bounds is None else f"{measured.value:.3g} ({bounds})"
