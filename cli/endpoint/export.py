"""The command `export`: a registered version for a place where nothing of Flightdeck runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.records.tracking import command_settings
from include.catalogue import load_use_case
from include.model.export import export_model
from include.model.package import load_model
from include.registry.versions import download, version


def export(
    context: typer.Context,
    use_case: Annotated[str, typer.Argument(metavar="USE_CASE", help="For example flight_delays.")],
    number: Annotated[
        int, typer.Argument(metavar="VERSION", help="The version's number in the registry.")
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder that does not exist yet.")],
) -> None:
    """Export a registered version.

    Its signature and digest are checked on the way; `flightdeck models export` writes the other
    kind, the package with its whole record.
    """
    settings = command_settings(context)
    registered = version(settings, load_use_case(use_case), number)
    with tempfile.TemporaryDirectory(prefix="flightdeck-export-") as folder:
        model = load_model(download(registered, Path(folder)), expected_digest=registered.digest)
        digest = export_model(settings, model, registered.version, to.absolute())
    print(f"{use_case} version {registered.version} -> {to}, digest {digest[:16]}")
