"""The command `lineage`: from a model version to everything it came from, and from a table, data
set, commit or cause to its models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from cli.records.answers import AsJson
from cli.records.tracking import command_settings
from cli.tables import print_facts, print_table
from include.errors import RegistryError
from include.experiments.runs import find_training
from include.registry.client import connect
from include.registry.run_files import read_json
from include.settings import Settings
from include.started_by import sentences_of
from include.tables.store import TableStore
from include.training.lineage import LINEAGE_FILE, Reached, reached_by

BY_DIGEST = ("code", "lock", "package")


Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME@VERSION",
        help="The models that this reached; without @VERSION any version of it.",
    ),
]
Sha = Annotated[str | None, typer.Option(metavar="SHA", help="The beginning is enough.")]


def lineage_command(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="The use case, for example flight_delays."),
    ] = None,
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]", help="The version's number, or the beginning of an MLflow run id."
        ),
    ] = None,
    *,
    of_table: Name = None,
    of_data_set: Name = None,
    of_golden: Name = None,
    of_commit: Sha = None,
    of_lock: Sha = None,
    of_package: Sha = None,
    of_cause: Annotated[str | None, typer.Option(metavar="ID", help="A cause's id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a version came from, or what something led to.

    Name MODEL and VERSION, or one of the options that begin with --of.
    """
    origins = {
        "table": of_table,
        "data_set": of_data_set,
        "golden": of_golden,
        "code": of_commit,
        "lock": of_lock,
        "package": of_package,
        "cause": of_cause,
    }
    named = [(kind, value) for kind, value in origins.items() if value is not None]
    if len(named) > 1 or (named and model is not None):
        raise typer.BadParameter("name MODEL VERSION, or only one of the options --of-...")
    if not named and (model is None or version is None):
        raise typer.BadParameter(
            "name MODEL VERSION, or one of --of-table, --of-data-set, --of-commit, --of-cause"
        )
    settings = command_settings(context)
    if named:
        trainings = back(settings, *named[0])
        if as_json:
            print(json.dumps([asdict(training) for training in trainings], indent=1))
        else:
            _print_reached(named[0], trainings)
        return
    document = lineage(settings, str(model), str(version))
    print(json.dumps(document, indent=1)) if as_json else _print(document)


def lineage(settings: Settings, model: str, version: str) -> dict[str, Any]:
    """The lineage of a version or a run. Raises `RegistryError` when there is none."""
    training = find_training(
        settings,
        f"{model}/{version}" if version.isdecimal() and len(version) <= len("999999") else version,
    )
    document: dict[str, Any] | None = read_json(
        connect(settings), training.mlflow_run_id, LINEAGE_FILE
    )
    if document is None:
        raise RegistryError(
            f"{training.name} left no {LINEAGE_FILE}: it was trained before lineage was kept, or"
            " has not been decided."
        )
    return document


def back(settings: Settings, kind: str, origin: str) -> list[Reached]:
    """The trainings that a thing reached:

    `origin` is `<name>@<version>`, a name, or the beginning of a digest.
    """
    tables = TableStore(settings.tables_uri)
    if kind in BY_DIGEST:
        return reached_by(tables, kind, digest=origin)
    name, _, number = origin.rpartition("@") if "@" in origin else (origin, "", "")
    if number and not number.isdecimal():
        raise RegistryError(
            f"{origin!r}: {number!r} is no version; write for example raw/flights@3."
        )
    return reached_by(tables, kind, name=name, version=int(number) if number else None)


def _print(document: Mapping[str, Any]) -> None:
    data, code, trigger = document["data_set"], document["code"], document["trigger"]
    package, golden, trials = (
        document["package"] or {},
        document["golden"] or {},
        document["trials"] or {"runs": []},
    )
    facts = {
        "package": package.get("digest"),
        "data set": (
            f"{data['table']}@{data['version']}, {data['rows']} rows, digest {data['digest']}"
        ),
        "features": (
            f"{document['features']['service']}, definition {document['features']['definition']}"
        ),
        "golden set": (
            f"{golden['table']}@{golden['version']}, digest {golden['digest']}" if golden else None
        ),
        "splits": None if document["splits"] is None else json.dumps(document["splits"]["rows"]),
        "trials": f"{len(trials['runs'])}, best {trials.get('best')}",
        "code": (
            f"commit {code['commit']}, lock {code['lock'][:16]}, specification"
            f" {document['specification'][:16]}"
        ),
        "started by": "; ".join(
            sentences_of(trigger["causes"], trigger["kind"], trigger["by"] or "")
        ),
        "causes": ", ".join(cause["cause_id"] for cause in trigger["causes"]) or None,
        "MLflow run": document["mlflow_run_id"],
    }
    title = f"{document['model']} version {document['version'] or '-'}, {document['decision']}"
    print_facts(title, facts)
    print_table(
        "Source tables",
        ("table", "version", "what for"),
        ((part["table"], part["version"], part["role"]) for part in document["sources"]),
    )
    made = (
        (part["process"], part["interval"]["start"], part["interval"]["end"], len(part["tables"]))
        for part in document["made_by"]
    )
    print_table("Made by", ("process", "from", "to", "tables"), made, nothing="no recorded process")
    print_table(
        "Artefacts",
        ("file", "kind", "bytes"),
        ((part["path"], part["type"], part["bytes"]) for part in document["artefacts"]),
    )


def _print_reached(origin: tuple[str, str], trainings: Sequence[Reached]) -> None:
    rows = (
        (
            training.model,
            training.model_version,
            training.decision,
            training.role,
            training.run_id,
            training.mlflow_run_id[:12],
        )
        for training in trainings
    )
    print_table(
        f"Reached by {origin[0].replace('_', ' ')} {origin[1]}",
        ("model", "version", "decision", "as", "DAG run", "MLflow run"),
        rows,
    )
