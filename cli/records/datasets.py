"""The command `datasets`: the data sets, their versions, what is in them and known of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cli.lazy import new_application
from cli.platform.state import running_settings
from cli.records.answers import AsJson, Author, Remark, Replaces, TrainingName, print_answer
from cli.records.tracking import command_settings
from cli.tables import print_facts, print_remarks, print_table
from include.catalogue import load_valid
from include.data_sets.query_script import SCRIPT_FILE
from include.discovery.page import write_page
from include.errors import RegistryError
from include.experiments.runs import find_training
from include.governance.data_catalogue import annotate_data_set, details, overview
from include.quality.summaries import HEADINGS, SUMMARY_FILE, rows_of
from include.registry.client import connect
from include.registry.run_files import read_text
from include.settings import Settings
from include.spec import UseCase
from include.tables.store import TableStore

DECLARED = (
    "description",
    "owner",
    "licence",
    "purpose",
    "sensitivity",
    "limits",
    "filters",
    "features",
)
DataSetName = Annotated[
    str,
    typer.Argument(
        metavar="NAME[@VERSION]",
        help="A data set, or the table and version of one of its versions.",
    ),
]
Split = Literal["train", "validation", "test", "all"]

application = new_application(no_args_is_help=True)


@application.callback()
def _datasets() -> None:
    """List, show, browse, query and annotate the data sets and their versions."""


@application.command("list")
def list_data_sets(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Print one line per data set."""
    tables = TableStore(command_settings(context).tables_uri)
    print_answer(overview(tables, _use_cases()), _print_overview, as_json=as_json)


@application.command("show")
def show_data_set(
    context: typer.Context, data_set: DataSetName, *, as_json: AsJson = False
) -> None:
    """Print the declaration, the versions, the models they reached and the annotations."""
    tables = TableStore(command_settings(context).tables_uri)
    print_answer(details(tables, _use_cases(), data_set), _print_details, as_json=as_json)


@application.command("summary")
def summarise_data_set(
    context: typer.Context,
    model: TrainingName,
    *,
    split: Annotated[
        Split,
        typer.Option(
            metavar="SPLIT", help="train, validation, test or all: the part of the training data."
        ),
    ] = "train",
    as_json: AsJson = False,
) -> None:
    """Print statistics of every column of a model's training data, per split."""
    answer = json.loads(_file(command_settings(context), model, SUMMARY_FILE))

    def show(summary: Any) -> None:
        print_table(f"{model}, {split} split", HEADINGS, rows_of(summary, split))

    print_answer(answer, show, as_json=as_json)


@application.command("query")
def query_data_set(context: typer.Context, model: TrainingName) -> None:
    """Print the SQL script that gives a model's training set."""
    print(_file(command_settings(context), model, SCRIPT_FILE))


@application.command("page")
def data_page(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME ...]",
            help="Use cases, data sets, source tables or feature views; all by default.",
        ),
    ] = None,
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where; below the reports of the home by default."),
    ] = None,
) -> None:
    """Write a page to browse: data sets, source tables, feature views, and every column of them.

    Owner, licence, what is there up to when, what was refused, distributions and their changes, and
    who uses what. One file of HTML that needs no network; neither Airflow nor MLflow need to run.
    """
    settings = context.find_object(Settings) or running_settings()
    valid, refused = load_valid()
    path = write_page(settings, valid, names or (), unread=refused.values(), path=to)
    print(f"{path}")
    address = settings.report_address(str(path))
    if address is not None:
        print(f"While the platform runs: {address}")


@application.command("annotate")
def annotate_version(
    context: typer.Context,
    data_set: DataSetName,
    text: Remark,
    *,
    who: Author,
    replaces: Replaces = None,
    as_json: AsJson = False,
) -> None:
    """Write a remark beside a version; remarks are never removed."""
    tables = TableStore(command_settings(context).tables_uri)
    remark = annotate_data_set(tables, data_set, text, author=who, replaces=replaces)
    print_answer(remark.as_json(), _print_remark, as_json=as_json)


def _use_cases() -> list[UseCase]:
    """The use cases that can be loaded; what is wrong with another goes to standard error."""
    valid, refused = load_valid()
    for reason in refused.values():
        print(reason, file=sys.stderr)
    return list(valid.values())


def _file(settings: Settings, model: str, file: str) -> str:
    training = find_training(settings, model)
    text = read_text(connect(settings), training.mlflow_run_id, file)
    if text is None:
        raise RegistryError(
            f"{training.name} left no {file}: its training ended before a model was fitted, or is"
            " older than this file."
        )
    return text


def _print_overview(answer: Sequence[Mapping[str, Any]]) -> None:
    names = ("name", "owner", "licence", "sensitivity", "used_by", "versions", "newest")
    print_table(
        "Data sets",
        [name.replace("_", " ") for name in names],
        ([row[name] for name in names] for row in answer),
    )


def _print_details(answer: Mapping[str, Any]) -> None:
    declaration = answer["declaration"]
    if declaration is None:
        print_facts(answer["name"], {"declared": "not in this checkout any more"})
    else:
        print_facts(answer["name"], {name: _joined(declaration[name]) for name in DECLARED})
    for version in answer["versions"]:
        facts = {
            "rows": version["rows"],
            "digest": version["digest"],
            "window": f"{version['window']['start']} to {version['window']['end']}",
            "counts": version["counts"],
            "sources": ", ".join(f"{name}@{number}" for name, number in version["sources"].items()),
            "built by": version["built_by"],
            "reached": ", ".join(version["reached"]),
        }
        print_facts(f"{version['table']}@{version['version']}", facts)
        print_remarks(version["annotations"])


def _joined(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value


def _print_remark(answer: Mapping[str, Any]) -> None:
    print(f"{answer['annotation_id']}  {answer['subject']}: {answer['text']} ({answer['author']})")
