"""`python -m cli datasets {list,show,summary,query,annotate}`: the data sets, their versions, what
is in them and known of them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cli.experiments.tables import console, print_remarks, print_table
from cli.platform.state import running_settings
from cli.records.reproduce import tracking_settings
from include.data_sets.query_script import SCRIPT_FILE
from include.errors import RegistryError
from include.experiments.runs import find_training
from include.governance.data_catalogue import annotate_data_set, details, overview, use_cases
from include.quality.summaries import HEADINGS, SUMMARY_FILE, rows_of
from include.registry.client import connect
from include.registry.run_files import read_text
from include.settings import Settings
from include.tables.store import TableStore


def parser() -> argparse.ArgumentParser:
    """The words of the command."""
    top = argparse.ArgumentParser(prog="datasets", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("list", parents=[shared], help="one line per data set")
    show = commands.add_parser(
        "show",
        parents=[shared],
        help="the declaration, the versions, the models they reached, the annotations",
    )
    show.add_argument(
        "data_set",
        metavar="NAME[@VERSION]",
        help="a data set, or the table and version of one of its versions",
    )
    summary = commands.add_parser(
        "summary",
        parents=[shared],
        help="statistics of every column of a model's training data, per split",
    )
    summary.add_argument("--split", default="train", choices=("train", "validation", "test", "all"))
    query = commands.add_parser(
        "query", parents=[shared], help="the SQL script that gives a model's training set"
    )
    for command in (summary, query):
        command.add_argument(
            "model", help="<model>/<version>, or the beginning of an MLflow run id"
        )
    annotate = commands.add_parser(
        "annotate",
        parents=[shared],
        help="write a remark beside a version; remarks are never removed",
    )
    annotate.add_argument("data_set", metavar="NAME[@VERSION]")
    annotate.add_argument("text")
    annotate.add_argument("--who", required=True, help="who says it")
    annotate.add_argument(
        "--replaces", metavar="ID", help="the remark that this one corrects; both are kept"
    )
    return top


def main(arguments: Sequence[str], settings: Settings | None = None) -> int:
    """0; what cannot be found is an error that says what there is."""
    given = parser().parse_args(arguments)
    settings = tracking_settings(running_settings()) if settings is None else settings
    if given.command == "query":
        print(_file(settings, given.model, SCRIPT_FILE))
        return 0
    answer = _answer(settings, given)
    if given.json:
        print(json.dumps(answer, indent=1, default=str))
    elif given.command == "summary":
        print_table(f"{given.model}, {given.split} split", HEADINGS, rows_of(answer, given.split))
    else:
        SHOW[given.command](answer)
    return 0


def _answer(settings: Settings, given: argparse.Namespace) -> Any:
    tables = TableStore(settings.tables_uri)
    if given.command == "list":
        return overview(tables, use_cases())
    if given.command == "show":
        return details(tables, use_cases(), given.data_set)
    if given.command == "annotate":
        return annotate_data_set(
            tables, given.data_set, given.text, author=given.who, replaces=given.replaces
        ).as_json()
    return json.loads(_file(settings, given.model, SUMMARY_FILE))


def _file(settings: Settings, model: str, file: str) -> str:
    one = find_training(settings, model)
    text = read_text(connect(settings), one.mlflow_run_id, file)
    if text is None:
        raise RegistryError(
            f"{one.name} left no {file}: its training ended before a model was fitted, or is older"
            " than this file."
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
    there, declaration = console(), answer["declaration"]
    there.print(answer["name"], style="bold")
    for name in (
        (
            "description",
            "owner",
            "licence",
            "purpose",
            "sensitivity",
            "limits",
            "filters",
            "features",
        )
        if declaration
        else ()
    ):
        value = declaration[name]
        there.print(
            f"  {name:<12}{'; '.join(value) if isinstance(value, list) else value or '-'}",
            soft_wrap=True,
        )
    if declaration is None:
        there.print("  not declared in this checkout any more")
    for one in answer["versions"]:
        there.print(f"{one['table']}@{one['version']}", style="bold")
        told = {
            "rows": one["rows"],
            "digest": one["digest"],
            "window": f"{one['window']['start']} to {one['window']['end']}",
        }
        told |= {
            "counts": one["counts"],
            "sources": ", ".join(f"{name}@{version}" for name, version in one["sources"].items()),
        }
        for name, value in {
            **told,
            "built by": one["built_by"],
            "reached": ", ".join(one["reached"]) or "-",
        }.items():
            there.print(f"  {name:<12}{value}", soft_wrap=True)
        print_remarks(one["annotations"])


def _print_remark(answer: Mapping[str, Any]) -> None:
    print(f"{answer['annotation_id']}  {answer['subject']}: {answer['text']} ({answer['author']})")


SHOW: dict[str, Callable[[Any], None]] = {
    "list": _print_overview,
    "show": _print_details,
    "annotate": _print_remark,
}
