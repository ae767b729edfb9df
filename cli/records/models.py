"""`python -m cli models {list,search,export,verify}`: which models are registered, and a version
with its whole record in one folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cli.experiments.arguments import add_criteria, criteria
from cli.experiments.tables import print_table
from cli.platform.state import running_settings
from cli.records.reproduce import tracking_settings
from include.errors import RegistryError
from include.experiments.models import export_version, models, search_versions, verify_export
from include.registry.versions import version_named
from include.settings import Settings


def main(arguments: Sequence[str], settings: Settings | None = None) -> int:
    """0; what cannot be found, or was altered, is an error that says so."""
    given = _parser().parse_args(arguments)
    if given.command == "verify":
        print(f"{len(verify_export(given.folder))} files are as they were exported")
        return 0
    settings = tracking_settings(running_settings()) if settings is None else settings
    if given.command == "export":
        name, number = _named(given.version)
        manifest = export_version(
            settings, version_named(settings, name, number), given.to.absolute()
        )
        print(
            f"{given.version} -> {given.to}: {len(manifest)} files; check them with: models verify"
            f" {given.to}"
        )
        return 0
    if given.command == "list":
        answer, show = models(settings), _print_models
    else:
        wanted = criteria(given)
        answer, show = (
            search_versions(
                settings, wanted, alias=given.alias, source=given.input, text=given.about
            )[: given.limit],
            _print_versions,
        )
    print(json.dumps(answer, indent=1)) if given.json else show(answer)
    return 0


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="models", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("list", parents=[shared], help="one line per registered model")
    search = commands.add_parser(
        "search", parents=[shared], help="the registered versions that fulfil every condition"
    )
    add_criteria(search)
    search.add_argument("--alias", help="that the version carries, e.g. champion")
    search.add_argument(
        "--input",
        metavar="VIEW:FEATURE",
        help="that one of its inputs reads, or an entity key or a request field",
    )
    search.add_argument("--about", metavar="TEXT", help="within the model's name and description")
    export = commands.add_parser(
        "export", help="the signed package, every file of the run, page and tags, with a manifest"
    )
    export.add_argument("version", metavar="MODEL/VERSION")
    export.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="a folder that does not exist yet"
    )
    commands.add_parser("verify", help="whether an export is as it was written").add_argument(
        "folder", type=Path
    )
    return top


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
    rows = (
        (
            f"{row['model']}/{row['version']}",
            row["aliases"],
            row["interval_end"][:10],
            *(row["metrics"].get(name) for name in ("test.auc", "golden.auc")),
            row["made_of"],
            (row["digest"] or "")[:12],
        )
        for row in answer
    )
    headings = ("version", "aliases", "data until", "auc", "golden auc", "made of", "digest")
    print_table("Versions", headings, rows, nothing="none that fulfils every condition")
