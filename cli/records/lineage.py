"""`python -m cli lineage`: from a model version to everything it came from, and from a table, data
set, commit or cause to its models.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cli.experiments.tables import console, print_table
from cli.platform.state import running_settings
from cli.records.reproduce import tracking_settings
from include.errors import RegistryError
from include.experiments.runs import find_training
from include.registry.client import connect
from include.registry.run_files import read_json
from include.settings import Settings
from include.tables.store import TableStore
from include.training.lineage import LINEAGE_FILE, Reached, reached_by

BACK = {
    "of_table": "table",
    "of_data_set": "data_set",
    "of_golden": "golden",
    "of_commit": "code",
    "of_lock": "lock",
    "of_package": "package",
    "of_cause": "cause",
}
BY_DIGEST = ("code", "lock", "package")


def main(arguments: Sequence[str], settings: Settings | None = None) -> int:
    """0; what cannot be found is an error that says what there is."""
    parser = argparse.ArgumentParser(prog="lineage", description=__doc__)
    parser.add_argument("model", nargs="?", help="the use case, e.g. flight_delays")
    parser.add_argument(
        "version", nargs="?", help="the version's number, or the beginning of an MLflow run id"
    )
    way_back = parser.add_mutually_exclusive_group()
    for name in ("table", "data-set", "golden"):
        way_back.add_argument(
            f"--of-{name}",
            metavar="NAME@VERSION",
            help="the models that this reached; without @VERSION any version",
        )
    for name, what in (
        ("commit", "SHA"),
        ("lock", "SHA-256"),
        ("package", "DIGEST"),
        ("cause", "ID"),
    ):
        way_back.add_argument(f"--of-{name}", metavar=what)
    parser.add_argument("--json", action="store_true", help="for programs")
    given = parser.parse_args(arguments)
    settings = tracking_settings(running_settings()) if settings is None else settings
    backwards = [
        (kind, value) for name, kind in BACK.items() if (value := getattr(given, name)) is not None
    ]
    if backwards:
        found = back(settings, *backwards[0])
        (
            print(json.dumps([asdict(one) for one in found], indent=1))
            if given.json
            else _print_reached(backwards[0], found)
        )
        return 0
    if given.model is None or given.version is None:
        parser.error(
            "name MODEL VERSION, or one of --of-table, --of-data-set, --of-commit, --of-cause"
        )
    document = lineage(settings, given.model, given.version)
    print(json.dumps(document, indent=1)) if given.json else _print(document)
    return 0


def lineage(settings: Settings, model: str, version: str) -> dict[str, Any]:
    """The lineage of a version or a run. Raises `RegistryError` when there is none."""
    one = find_training(
        settings,
        f"{model}/{version}" if version.isdecimal() and len(version) <= len("999999") else version,
    )
    document: dict[str, Any] | None = read_json(connect(settings), one.mlflow_run_id, LINEAGE_FILE)
    if document is None:
        raise RegistryError(
            f"{one.name} left no {LINEAGE_FILE}: it was trained before lineage was kept, or has not"
            " been decided."
        )
    return document


def back(settings: Settings, kind: str, wanted: str) -> list[Reached]:
    """The trainings that a thing reached:

    `wanted` is `<name>@<version>`, a name, or the beginning of a digest.
    """
    tables = TableStore(settings.tables_uri)
    if kind in BY_DIGEST:
        return reached_by(tables, kind, digest=wanted)
    name, _, number = wanted.rpartition("@") if "@" in wanted else (wanted, "", "")
    if number and not number.isdecimal():
        raise RegistryError(
            f"{wanted!r}: {number!r} is no version; write for example raw/flights@3."
        )
    return reached_by(tables, kind, name=name, version=int(number) if number else None)


def _print(document: Mapping[str, Any]) -> None:
    there, data, code, trigger = (
        console(),
        document["data_set"],
        document["code"],
        document["trigger"],
    )
    there.print(
        f"{document['model']} version {document['version'] or '-'}, {document['decision']}",
        style="bold",
    )
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
        "trigger": (
            f"{trigger['kind']} by {trigger['by'] or 'nobody'}: "
            + ("; ".join(_cause(cause) for cause in trigger["causes"]) or "no cause")
        ),
        "MLflow run": document["mlflow_run_id"],
    }
    for name, value in facts.items():
        there.print(f"  {name:<12}{value or '-'}", soft_wrap=True)
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


def _cause(cause: Mapping[str, Any]) -> str:
    return f"{cause['kind']} {cause['cause_id']} {cause.get('reason') or ''}".strip()


def _print_reached(wanted: tuple[str, str], found: Sequence[Reached]) -> None:
    rows = (
        (one.model, one.model_version, one.decision, one.role, one.run_id, one.mlflow_run_id[:12])
        for one in found
    )
    print_table(
        f"Reached by {wanted[0].replace('_', ' ')} {wanted[1]}",
        ("model", "version", "decision", "as", "DAG run", "MLflow run"),
        rows,
    )
