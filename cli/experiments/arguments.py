"""The words of the command, and from them the criteria of a search."""

from __future__ import annotations

import argparse

from include.experiments.criteria import DECISIONS, Condition, Criteria, parse_moment

EXAMPLES = """examples:
  experiments search --metric 'auc>0.7' --decision accepted --since 2013-06-01
  experiments search --param 'xgboost.max_depth=6' --trigger alarm --text 'snow'
  experiments compare flight_delays/1 flight_delays/2
"""


def parser() -> argparse.ArgumentParser:
    """`list`, `search`, `show`, `compare`, `annotate`, each with `--json`."""
    top = argparse.ArgumentParser(
        prog="experiments",
        description="What has been trained.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.set_defaults(json=False)
    commands = top.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("list", parents=[shared], help="one line per use case")
    add_criteria(
        commands.add_parser(
            "search", parents=[shared], help="the trainings that fulfil every condition"
        )
    )
    show = commands.add_parser("show", parents=[shared], help="everything about one training")
    show.add_argument("training", help="<model>/<version>, or the beginning of an MLflow run id")
    compare = commands.add_parser(
        "compare", parents=[shared], help="two trainings or more, differences to the first"
    )
    compare.add_argument("trainings", nargs="+", metavar="training")
    compare.add_argument(
        "--no-golden", action="store_true", help="do not score the golden set again"
    )
    annotate = commands.add_parser(
        "annotate",
        parents=[shared],
        help="write a remark beside a training; remarks are never removed",
    )
    annotate.add_argument("training")
    annotate.add_argument("text")
    annotate.add_argument("--who", required=True, help="who says it")
    annotate.add_argument(
        "--replaces", metavar="ID", help="the remark that this one corrects; both are kept"
    )
    return top


def add_criteria(search: argparse.ArgumentParser) -> None:
    """The conditions that `criteria` reads."""
    search.add_argument("--use-case", action="append", default=[], metavar="NAME")
    search.add_argument("--decision", metavar="|".join(DECISIONS))
    search.add_argument(
        "--trigger",
        metavar="KIND",
        help="schedule, backfill, new_data, alarm, manual, event, local",
    )
    search.add_argument("--since", metavar="DATE", help="data intervals that end then or later")
    search.add_argument("--until", metavar="DATE", help="data intervals that end before")
    search.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="'auc>0.7'",
        help="test split; golden.auc for the golden set",
    )
    search.add_argument("--param", action="append", default=[], metavar="'xgboost.max_depth=6'")
    search.add_argument("--tag", action="append", default=[], metavar="'triggered_by=ada'")
    search.add_argument(
        "--snapshot",
        metavar="TABLE@VERSION|DIGEST",
        help="the data-set version, or the beginning of its digest",
    )
    search.add_argument("--commit", metavar="SHA", help="the beginning of the code commit")
    search.add_argument(
        "--text",
        help="within annotations, reasons of a refusal, causes and parameters of the trigger",
    )
    search.add_argument(
        "--sort", metavar="METRIC", help="largest first; default: newest data first"
    )
    search.add_argument("--limit", type=int, default=50)


def criteria(given: argparse.Namespace) -> Criteria:
    """The criteria of `search`.

    Raises `RegistryError` for a condition that cannot be understood.
    """
    return Criteria(
        use_cases=tuple(given.use_case),
        decision=given.decision,
        kind=given.trigger,
        since=None if given.since is None else parse_moment(given.since),
        until=None if given.until is None else parse_moment(given.until),
        metrics=tuple(Condition.parse(text, number=True) for text in given.metric),
        parameters=tuple(Condition.parse(text, number=False) for text in given.param),
        tags=tuple(Condition.parse(text, number=False) for text in given.tag),
        snapshot=given.snapshot,
        commit=given.commit,
        text=given.text,
    )
