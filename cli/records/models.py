"""The command `models`: which models are registered, and a version with its whole record in one
folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.experiments import arguments
from cli.lazy import new_application
from cli.records.answers import AsJson, print_answer
from cli.records.performance import model_performance
from cli.records.tracking import command_settings
from cli.tables import print_table
from include.errors import RegistryError
from include.experiments.models import export_version, models, search_versions, verify_export
from include.experiments.shown import heading, shown_metrics
from include.registry.versions import version_named

application = new_application(no_args_is_help=True)


application.command("performance")(model_performance)


@application.callback()
def _models() -> None:
    """List, search, export and verify registered models; how those in service do."""


@application.command("list")
def list_models(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print one line per registered model."""
    print_answer(models(command_settings(context)), _print_models, as_json=as_json)


@application.command("search")
def search_models(
    context: typer.Context,
    *,
    use_case: arguments.UseCases = None,
    decision: arguments.Decision = None,
    trigger: arguments.Trigger = None,
    since: arguments.Since = None,
    until: arguments.Until = None,
    metrics: arguments.Metrics = None,
    parameters: arguments.Parameters = None,
    tags: arguments.Tags = None,
    snapshot: arguments.Snapshot = None,
    commit: arguments.Commit = None,
    text: arguments.Text = None,
    alias: Annotated[
        str | None,
        typer.Option(metavar="ALIAS", help="An alias of the version, for example champion."),
    ] = None,
    model_input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="VIEW:FEATURE",
            help="What one of its inputs reads, an entity key, or a request field.",
        ),
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Within the model's name and description.")
    ] = None,
    limit: arguments.Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Print the registered versions that fulfil every condition."""
    settings = command_settings(context)
    conditions = arguments.criteria(
        use_cases=use_case,
        decision=decision,
        trigger=trigger,
        since=since,
        until=until,
        metrics=metrics,
        parameters=parameters,
        tags=tags,
        snapshot=snapshot,
        commit=commit,
        text=text,
    )
    versions = search_versions(settings, conditions, alias=alias, source=model_input, text=about)
    print_answer(versions[:limit], _print_versions, as_json=as_json)


@application.command("export")
def export_model_version(
    context: typer.Context,
    version: Annotated[
        str, typer.Argument(metavar="MODEL/VERSION", help="For example flight_delays/1.")
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder that does not exist yet.")],
) -> None:
    """Write the signed package, every file of the run, page and tags, with a manifest."""
    settings = command_settings(context)
    name, number = _named(version)
    manifest = export_version(settings, version_named(settings, name, number), to.absolute())
    print(
        f"{version} -> {to}: {len(manifest)} files; check them with: .venv/bin/flightdeck models"
        f" verify {to}"
    )


@application.command("verify")
def verify_export_folder(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `models export` wrote.")],
) -> None:
    """Check that an export is as it was written."""
    print(f"{len(verify_export(folder))} files are as they were exported")


def _named(text: str) -> tuple[str, int]:
    name, _, number = text.partition("/")
    if not number.isdecimal():
        raise RegistryError(
            f"{text!r} names no version; write <model>/<version>, for example flight_delays/1."
        )
    return name, int(number)


def _print_models(answer: Sequence[Mapping[str, Any]]) -> None:
    rows = (
        (
            row["name"],
            row["versions"],
            [f"{alias}={number}" for alias, number in row["aliases"].items()],
            row["description"],
        )
        for row in answer
    )
    print_table(
        "Models",
        ("model", "versions", "aliases", "what it answers"),
        rows,
        nothing="none is registered yet",
    )


def _print_versions(answer: Sequence[Mapping[str, Any]]) -> None:
    measured = shown_metrics(row["metrics"] for row in answer)
    rows = (
        (
            f"{row['model']}/{row['version']}",
            row["aliases"],
            row["interval_end"][:10],
            *(row["metrics"].get(name) for name in measured),
            row["made_of"],
            (row["digest"] or "")[:12],
        )
        for row in answer
    )
    names = map(heading, measured)
    headings = ("version", "aliases", "data until", *names, "made of", "digest")
    print_table("Versions", headings, rows, nothing="none that fulfils every condition")
